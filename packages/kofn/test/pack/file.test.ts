/** .kofn files: they come back without loss, are as small as promised, and no damage to them goes unnoticed. */

import { crc32 } from "@kofn/format/file/crc32.js";
import { POSITION_CODECS } from "@kofn/format/file/fields.js";
import { type Section, SECTIONS } from "@kofn/format/file/header.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { float, int, ints, string, tensorAttribute } from "../../src/onnx/model.js";
import { Tensor, tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { accountOf } from "../../src/pack/accounting.js";
import { sparseContents, weightMasks } from "../../src/pack/contents.js";
import { decodeContainer, encodeContainer } from "../../src/pack/container.js";
import { decodeKofn, encodeKofn, modelOfKofn } from "../../src/pack/file.js";
import type { KofnContents, PackOptions } from "../../src/pack/types.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import { quantizedActivations } from "../integers/networks.js";
import { contentsOf, network, type Recipe, recipes } from "./networks.js";

const RECIPE: Recipe = {
  seed: 1,
  maps: 4,
  hidden: 6,
  conv: kernels({ k: 1 }),
  fc1: weights({ k: 5, share: 2 }),
  fc2: weights({ k: 2 }),
  format: "float32",
};

const options: fc.Arbitrary<PackOptions> = fc.record({
  positions: fc.constantFrom(...POSITION_CODECS, "auto" as const),
  entropy: fc.boolean(),
});

const onnx = ({ model }: Pick<KofnContents, "model">): Uint8Array =>
  encodeModelBytes({ ...model, graph: { ...model.graph, valueTypes: new Map() } });

describe("a .kofn file", () => {
  test("gives back model, masks, codes, labels and provenance of any network", () => {
    fc.assert(
      fc.property(recipes, options, (recipe, how) => {
        const contents = contentsOf(recipe);
        const { bytes } = encodeKofn(contents, how);
        const read = decodeKofn(bytes, "test");
        expect(Buffer.compare(onnx(read), onnx(contents))).toBe(0);
        expect(read.masks).toEqual(contents.masks);
        expect(read.quantization).toEqual(contents.quantization);
        expect(read.labels).toEqual(contents.labels);
        expect(read.provenance).toEqual(contents.provenance);
        const { layers, others, rest, total } = accountOf(read.model, read.tensors, bytes.length);
        expect(layers.reduce((sum, { file }) => sum + file, others.file + rest)).toBe(total.file);
        expect(rest).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });

  test("has the masks of the run where nothing is cut out", () => {
    for (const format of ["float32", "int3", "binary"] as const) {
      const contents = contentsOf({ ...RECIPE, format });
      expect(weightMasks(decodeKofn(encodeKofn(contents).bytes, "test"))).toEqual(contents.wholeMasks);
    }
  });

  test("stores units once: kernels, shared masks, tiles", () => {
    const { masks } = contentsOf(RECIPE);
    const layouts = Object.fromEntries(
      [...masks].map(([name, { layout, counts }]) => [name, { ...layout, k: counts[0] }]),
    );
    expect(layouts).toEqual({
      "conv.weight": { transposed: false, span: 9, share: 1, n: 2, k: 1 },
      "fc1.weight": { transposed: false, span: 1, share: 2, n: 36, k: 5 },
      "fc2.weight": { transposed: true, span: 1, share: 1, n: 6, k: 2 },
    });
    expect(masks.get("fc1.weight")?.units).toHaveLength(3 * 36);
  });

  test("has removed maps cut out, and masks of other layers cut likewise", () => {
    const contents = contentsOf({ ...RECIPE, conv: maps({ k: 3 }), fc1: weights({ k: 10 }) });
    const read = decodeKofn(encodeKofn(contents).bytes, "test");
    expect(read.model.graph.initializers.get("conv.weight")?.dims).toEqual([3, 2, 3, 3]);
    const mask = read.masks.get("fc1.weight");
    expect(mask?.layout.n).toBe(27);
    expect(new Set(mask?.counts).size).toBeGreaterThan(1);
  });

  test("is the same each time", () => {
    const bytes = (): Uint8Array =>
      encodeKofn(contentsOf({ ...RECIPE, format: "int4" }), { entropy: true }).bytes;
    expect(Buffer.compare(bytes(), bytes())).toBe(0);
  });

  test("keeps quantized activations apart from the graph", () => {
    const contents = contentsOf({ ...RECIPE, format: "int8" });
    const activations = quantizedActivations(contents.model, new Map([["input", [-1, 1]]]));
    const whole = { ...contents, quantization: { ...contents.quantization, activations } };
    const read = decodeKofn(encodeKofn(whole).bytes, "test");
    expect(read.quantization.activations).toEqual(activations);
    expect(read.model.graph.nodes.some(({ op }) => op === "QuantizeLinear")).toBe(false);
    expect(modelOfKofn(read).graph.nodes.some(({ op }) => op === "QuantizeLinear")).toBe(true);
  });

  test("states the shapes of all values", () => {
    const { types } = decodeKofn(encodeKofn(contentsOf(RECIPE)).bytes, "test");
    expect(types.get("conv")?.shape).toEqual(["batch", 4, 3, 3]);
    expect(types.get("relu1")?.shape).toEqual(["batch", 4, 3, 3]);
    expect(types.get("logits")).toEqual({ dtype: "float32", shape: ["batch", 4] });
  });

  test("holds attributes of all kinds, other element types, unknown operators and long names", () => {
    const model = network(RECIPE);
    const [node] = model.graph.nodes;
    const long = "a name that is longer than fifteen bytes, é";
    node.name = long;
    model.graph.initializers.set(`${long} too`, tensorFrom("int64", [2], [-1, 2 ** 40]));
    model.graph.initializers.set("nibbles", new Tensor("int4", [3], Uint8Array.of(0x21, 0x0f)));
    model.graph.initializers.set("strange", tensor("float32", [3], Float32Array.of(-0, Infinity, 1e-45)));
    const softmax = {
      op: "Softmax",
      domain: "",
      name: "",
      inputs: ["logits"],
      outputs: ["scores"],
      attributes: new Map(),
    };
    softmax.attributes
      .set("axis", int(-1))
      .set("of its own", string("text"))
      .set("alpha", float(0.1))
      .set("value", tensorAttribute(tensorFrom("int8", [2], [1, -1])))
      .set("floats", { kind: "floats", value: [1, 2.5] })
      .set("pads", ints([-5, 2 ** 45]))
      .set("strings", { kind: "strings", value: [Uint8Array.of(255), Uint8Array.of()] });
    model.graph.nodes.push(softmax);
    model.metadata.set("kofn.input.std", "[1, 2]");
    const contents = sparseContents(model);
    expect(Buffer.compare(onnx(decodeKofn(encodeKofn(contents).bytes, "test")), onnx(contents))).toBe(0);
  });

  test("takes zeros of a model without masks for pruned, where that saves anything", () => {
    const { model } = contentsOf({ ...RECIPE, fc2: "none" });
    const contents = sparseContents(model);
    expect([...contents.masks.keys()]).toEqual(["conv.weight", "fc1.weight"]);
    expect(contents.masks.get("conv.weight")?.layout).toMatchObject({ span: 9, n: 2 });
    const read = decodeKofn(encodeKofn(contents).bytes, "test");
    expect(Buffer.compare(onnx(read), onnx({ model }))).toBe(0);
  });

  test("in float16 tells its largest error, and leaves what a half can't hold", () => {
    const contents = contentsOf(RECIPE);
    const { graph } = contents.model;
    graph.initializers.set("fc1.bias", tensorFrom("float32", [6], [1e6, 1, 2, 3, 4, 5]));
    const { bytes, largestError } = encodeKofn(contents, { values: "float16" });
    expect(bytes.length).toBeLessThan(encodeKofn(contents).bytes.length);
    const read = decodeKofn(bytes, "test");
    let worst = 0;
    for (const [name, value] of graph.initializers) {
      const back = read.model.graph.initializers.get(name)?.numbers() ?? [];
      value.numbers().forEach((number, i) => (worst = Math.max(worst, Math.abs(number - back[i]))));
    }
    expect(largestError).toBe(worst);
    expect(largestError).toBeGreaterThan(0);
    expect(largestError).toBeLessThan(2 ** -11);
    expect(encodeKofn(contents).largestError).toBe(0);
  });

  test("refuses masks and codes of another model", () => {
    const contents = contentsOf({ ...RECIPE, format: "int8" });
    const other = contentsOf({ ...RECIPE, seed: 2, format: "int8" });
    expect(() => encodeKofn({ ...contents, masks: other.masks })).toThrow(
      /is not 0 everywhere where its mask keeps nothing/,
    );
    expect(() => encodeKofn({ ...contents, quantization: other.quantization })).toThrow(
      /is not scale times code/,
    );
  });
});

describe("damage to a .kofn file", () => {
  let bytes: Uint8Array;
  let starts: readonly { readonly name: Section; readonly offset: number }[];
  beforeAll(() => {
    ({ bytes } = encodeKofn(contentsOf({ ...RECIPE, format: "int3" })));
    const sections = decodeContainer(bytes, "test");
    starts = SECTIONS.map((name) => ({ name, offset: sections[name].byteOffset }));
  });
  const message = (damaged: Uint8Array): string => {
    try {
      decodeKofn(damaged, "small.kofn");
    } catch (error) {
      return String(error);
    }
    return "none";
  };
  /** The part of the file that a byte belongs to. */
  const partAt = (at: number): string => starts.findLast(({ offset }) => offset <= at)?.name ?? "header";

  test("is detected and named for every byte and every way to flip it", () => {
    for (let at = 0; at < bytes.length; at++) {
      const part = partAt(at);
      for (const flip of at % 8 === 0 ? [1, 2, 4, 8, 16, 32, 64, 128, 255] : [1 << (at % 8)]) {
        const damaged = bytes.slice();
        damaged[at] ^= flip;
        const found = message(damaged);
        expect(found, `byte ${at}`).toMatch(/^InputError: small\.kofn: /);
        expect(found, `byte ${at}`).toContain(part === "header" ? "header" : `section "${part}"`);
      }
    }
  });

  test("is detected and named for every length to which a file is cut", () => {
    for (let length = 0; length < bytes.length; length++) {
      const found = message(bytes.slice(0, length));
      const part = partAt(length);
      expect(found, `length ${length}`).toMatch(/^InputError: small\.kofn: /);
      if (length > 0)
        expect(found, `length ${length}`).toContain(part === "header" ? "header" : `section "${part}"`);
    }
    expect(message(Uint8Array.from([...bytes, 0]))).toContain("1 bytes behind its last section");
  });

  test("in bytes whose checksums are right never does worse than an error", () => {
    const sections = decodeContainer(bytes, "test");
    fc.assert(
      fc.property(
        fc.constantFrom(...SECTIONS),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(), { nil: undefined }),
        (name, changes, cut) => {
          const changed = sections[name].slice(
            0,
            cut === undefined ? undefined : cut % (sections[name].length + 1),
          );
          for (const [at, value] of changes) if (changed.length > 0) changed[at % changed.length] = value;
          const found = message(encodeContainer({ ...sections, [name]: changed }));
          expect(found).toMatch(/^(InputError: |none$)/);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("in random bytes behind a right beginning is an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (random) => {
        expect(message(random)).toMatch(/^InputError: small\.kofn: /);
        expect(message(Uint8Array.from([...bytes.slice(0, 8), ...random]))).toMatch(
          /^InputError: small\.kofn: /,
        );
      }),
    );
  });

  test("of a header that declares huge sections is refused at once", () => {
    const huge = bytes.slice(0, 200);
    const view = new DataView(huge.buffer);
    view.setUint32(8, 0xfffffffc, true);
    view.setUint32(20, 0xf0000000, true);
    view.setUint32(12, 0, true);
    view.setUint32(12, crc32(huge.subarray(0, 64)), true);
    expect(message(huge)).toMatch(/header|cut short/);
  });

  test("of tensors that are declared huge is refused before memory is taken", () => {
    const contents = contentsOf(RECIPE);
    const sections = decodeContainer(encodeKofn(contents).bytes, "test");
    // fc1.weight is [6, 36]: as [6 * 128, 36 * 2^28 ...] it would take far more than there is.
    const at = indexOf(sections.graph, [65, 6, 36]);
    for (const dims of [
      [65, 0xff, 0xff, 0xff, 0x3f, 36],
      [65, 0xff, 0xff, 0x7f, 0xff, 0xff, 0x7f],
    ]) {
      const graph = Uint8Array.from([
        ...sections.graph.slice(0, at),
        ...dims,
        ...sections.graph.slice(at + 3),
      ]);
      expect(message(encodeContainer({ ...sections, graph }))).toMatch(/tensors of more than \d+ numbers/);
    }
  });

  test("is told from another version, and from another file", () => {
    const newer = bytes.slice();
    const view = new DataView(newer.buffer);
    view.setUint16(4, 2, true);
    view.setUint32(12, 0, true);
    view.setUint32(12, crc32(newer.subarray(0, 64)), true);
    expect(message(newer)).toContain("version 2 of the format, and this kofn reads 1");
    expect(message(new TextEncoder().encode("{".repeat(100)))).toContain("expected a .kofn file");
  });
});

function indexOf(bytes: Uint8Array, part: readonly number[]): number {
  const at = Buffer.from(bytes).indexOf(Uint8Array.from(part));
  expect(at).toBeGreaterThan(0);
  return at;
}
