/** Memory images: what they hold, and what Verilog computes from them under Icarus Verilog, against the reference. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WeightFormat } from "@kofn/format/run/words.js";
import { afterAll, describe, expect, test } from "vitest";
import { type Images, writeImages } from "../../src/hardware/images.js";
import type { LayerImages } from "../../src/hardware/layer-images.js";
import { lowerProgram } from "../../src/hardware/lower.js";
import { imagePacking } from "../../src/hardware/packing.js";
import type { Linear, Program } from "../../src/hardware/program.js";
import { type Elements, runProgram } from "../../src/hardware/reference.js";
import type { Model } from "../../src/onnx/model.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { kernels, weights } from "../../src/prune/spec.js";
import type { PruneRule } from "../../src/prune/types.js";
import type { Quantization, QuantizedActivation } from "../../src/quantize/types.js";
import { quantizedActivations, quantizedWeights } from "../integers/networks.js";
import { isInstalled } from "./compile.js";
import { manyOperators, prunedBy, rangesOf, samples, smallNetwork } from "./networks.js";

const hasIcarus = isInstalled("iverilog", "-V");
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** The lines that a test bench prints, in a folder with the images. */
function simulate(
  images: Images,
  { name, test }: LayerImages,
  more: Readonly<Record<string, string>> = {},
  positions?: number,
): string {
  const folder = mkdtempSync(join(tmpdir(), "kofn-mem-"));
  folders.push(folder);
  for (const [file, text] of [...images.files, ...Object.entries(more)])
    writeFileSync(join(folder, file), text);
  if (test === null) throw new Error(`the layer ${name} has no test bench`);
  const overrides = positions === undefined ? [] : [`-Ptb.POSITIONS=${positions}`];
  const built = spawnSync("iverilog", ["-Wall", ...overrides, "-o", "bench", test.bench, "kofn_layer.v"], {
    cwd: folder,
  });
  expect(built.stderr.toString()).toBe("");
  const plusargs = Object.keys(more).map((file) => `+${file.split(".")[0]}=${file}`);
  const ran = spawnSync("vvp", ["-n", "bench", ...plusargs], { cwd: folder });
  expect(ran.stderr.toString()).toBe("");
  return ran.stdout.toString().trim();
}

async function quantizationOf(
  model: Model,
  dims: readonly number[],
  format: WeightFormat,
  activations: "uint8" | "int8" = "uint8",
): Promise<Quantization> {
  const ranges = await rangesOf(
    model,
    dims,
    samples(
      4,
      dims.reduce((a, b) => a * b),
    ),
  );
  return {
    weights: quantizedWeights(model.graph, format),
    activations: quantizedActivations(model, ranges, activations),
  };
}

/** The words of a memory, as numbers. */
function wordsOf(images: Images, file: string): number[] {
  return (images.files.get(file) ?? "")
    .trimEnd()
    .split("\n")
    .map((word) => parseInt(word, 16));
}

const DIMS = [4, 8, 8];
const RULES: readonly (readonly [string, Readonly<Record<string, PruneRule>>])[] = [
  ["dense", {}],
  [
    "weights",
    { conv1: weights({ k: 5 }), conv2: weights({ k: 30 }), fc1: weights({ k: 9 }), fc2: weights({ k: 20 }) },
  ],
  [
    "weights per kernel",
    { conv1: weights({ k: 2, per: "kernel" }), conv2: weights({ k: 8, per: "kernel" }) },
  ],
  [
    "tiles",
    { conv1: weights({ tile: [1, 4] }), conv2: weights({ tile: [11, 12] }), fc1: weights({ tile: [2, 4] }) },
  ],
  ["kernels", { conv1: kernels({ k: 3 }), conv2: kernels({ k: 1, share: 4 }) }],
  [
    "shared masks",
    {
      conv1: weights({ k: 7, share: 4 }),
      fc1: weights({ k: 12, share: 10 }),
      fc2: weights({ k: 30, share: 3 }),
    },
  ],
];

describe("memory images", () => {
  test.each(RULES)(
    "of a network pruned by %s: k entries for each group, whatever the density",
    async (_, rules) => {
      const { model, pruned } = prunedBy(smallNetwork(), rules);
      const quantization = await quantizationOf(model, DIMS, "int8");
      const images = writeImages(
        lowerProgram(model, quantization, imagePacking(pruned)),
        quantization,
        "small",
      );
      for (const layer of images.layers) {
        const rule = pruned.layers.find(({ weight }) => weight === layer.weight);
        const { rows, groups, n, k, span, share, fanIn, values, indices } = layer;
        expect(groups * n * span).toBe(fanIn);
        expect(values.depth).toBe(rows * groups * k * span);
        expect(wordsOf(images, values.file)).toHaveLength(values.depth);
        if (rule === undefined) {
          expect(indices).toBeNull();
          expect(k).toBe(n);
          continue;
        }
        expect({ n, k, share }).toEqual({
          n: rule.n,
          k: keptOf(rules[layer.name]),
          share: rule.share,
        });
        expect(indices?.depth).toBe((rows / share) * groups * k);
        expect(indices?.width).toBe(Math.max(1, Math.ceil(Math.log2(n))));
        expect(indices?.of).toBe(rule.granularity);
        expect(Math.max(...wordsOf(images, indices?.file ?? ""))).toBeLessThan(n);
        expect(unpacked(images, layer)).toEqual(codesOf(quantization, layer));
      }
    },
  );

  test("of floats hold IEEE numbers, and no test bench", () => {
    const { model, pruned } = prunedBy(smallNetwork(), { fc1: weights({ k: 9 }) });
    const nothing = { weights: [], activations: [] };
    const images = writeImages(lowerProgram(model, nothing, imagePacking(pruned)), nothing, "small");
    const fc1 = images.layers.find(({ name }) => name === "fc1");
    expect(fc1).toMatchObject({
      values: { width: 32, format: "float32", depth: 2700 },
      bias: { format: "float32" },
      scale: null,
      test: null,
    });
    const [first] = wordsOf(images, "fc1.values.mem");
    const stored = (model.graph.initializers.get("fc1.weight") as Tensor<"float32">).array();
    expect(new Float32Array(Uint32Array.of(first).buffer)[0]).toBe(stored.find((value) => value !== 0));
    expect([...images.files.keys()].filter((file) => file.endsWith(".v"))).toEqual([]);
    expect(JSON.parse(images.files.get("layers.json") ?? "")).toMatchObject({
      model: "small",
      layers: [{ name: "conv1" }, {}, {}, {}],
    });
  });

  test.each([
    ["binary", 1, "sign"],
    ["ternary", 2, "int"],
    ["int4", 4, "int"],
    ["int7", 7, "int"],
  ] as const)("of %s weights have words of %i bits", async (format, width, words) => {
    const { model, pruned } = prunedBy(smallNetwork(), { fc1: weights({ k: 9 }) });
    const quantization = await quantizationOf(model, DIMS, format);
    const { layers } = writeImages(
      lowerProgram(model, quantization, imagePacking(pruned)),
      quantization,
      "small",
    );
    for (const { values } of layers) expect(values).toMatchObject({ width, format: words });
  });

  test("fill rows of different lengths up, and say so", async () => {
    const { model } = prunedBy(smallNetwork(), { fc1: weights({ k: 9 }) });
    const stored = model.graph.initializers.get("fc1.weight") as Tensor<"float32">;
    stored.array().fill(0, 128, 130 + 126);
    const quantization = await quantizationOf(model, DIMS, "int8");
    const images = writeImages(lowerProgram(model, quantization, imagePacking()), quantization, "small");
    expect(images.layers[2]).toMatchObject({ filledUp: true, k: 9, values: { depth: 2700 } });
    expect(unpacked(images, images.layers[2])).toEqual(codesOf(quantization, images.layers[2]));
  });
});

function keptOf(rule: PruneRule): number {
  return "k" in rule.amount ? rule.amount.k : "tile" in rule.amount ? rule.amount.tile[0] : 0;
}

/** The weight of a layer, [rows, fan-in], from its images: by layers.json alone. */
function unpacked(images: Images, layer: LayerImages): number[] {
  const { rows, fanIn, groups, n, k, span, share, values, indices } = layer;
  const words = wordsOf(images, values.file);
  const places = indices === null ? [] : wordsOf(images, indices.file);
  const weight = new Array<number>(rows * fanIn).fill(0);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      for (let j = 0; j < k; j++) {
        const index = indices === null ? j : places[(Math.floor(row / share) * groups + group) * k + j];
        for (let i = 0; i < span; i++, at++) {
          const word = words[at];
          weight[row * fanIn + (group * n + index) * span + i] =
            word >= 2 ** (values.width - 1) ? word - 2 ** values.width : word;
        }
      }
    }
  }
  return weight.map((value) => value + 0);
}

function codesOf(quantization: Quantization, { weight, rows, fanIn }: LayerImages): number[] {
  const found = quantization.weights.find((one) => one.weight === weight);
  const codes = [...(found?.codes ?? [])];
  return found?.axis === 0 ? codes : codes.map((_, i) => codes[(i % fanIn) * rows + Math.floor(i / fanIn)]);
}

describe.runIf(hasIcarus)("Verilog", () => {
  test.each(RULES)("computes the layers of a network pruned by %s", async (_, rules) => {
    const { model, pruned } = prunedBy(smallNetwork(), rules);
    const quantization = await quantizationOf(model, DIMS, "int8");
    const images = writeImages(
      lowerProgram(model, quantization, imagePacking(pruned)),
      quantization,
      "small",
    );
    expect(images.layers.map((layer) => simulate(images, layer))).toEqual([
      "32 codes, 0 different",
      "32 codes, 0 different",
      "300 codes, 0 different",
      "6 sums, 0 different",
    ]);
  });

  test.each(["binary", "ternary", "int5"] as const)(
    "computes layers of %s weights, and int8 activations",
    async (format) => {
      const { model, pruned } = prunedBy(smallNetwork(), {
        conv1: weights({ k: 4 }),
        fc2: weights({ k: 20 }),
      });
      const quantization = await quantizationOf(model, DIMS, format, "int8");
      const images = writeImages(
        lowerProgram(model, quantization, imagePacking(pruned)),
        quantization,
        "small",
      );
      for (const layer of images.layers) expect(simulate(images, layer)).toMatch(/, 0 different$/);
    },
  );

  test("computes sums of layers whose weights alone are quantized", () => {
    const { model, pruned } = prunedBy(smallNetwork(), { fc1: weights({ k: 9 }) });
    const quantization = { weights: quantizedWeights(model.graph, "int4"), activations: [] };
    const images = writeImages(
      lowerProgram(model, quantization, imagePacking(pruned)),
      quantization,
      "small",
    );
    expect(images.layers.map((layer) => simulate(images, layer))).toContain("300 sums, 0 different");
  });

  test("sees a wrong weight", async () => {
    const { model, pruned } = prunedBy(smallNetwork(), { fc1: weights({ k: 9 }) });
    const quantization = await quantizationOf(model, DIMS, "int8");
    const images = writeImages(
      lowerProgram(model, quantization, imagePacking(pruned)),
      quantization,
      "small",
    );
    const { files, layers } = images;
    const text = files.get("fc2.values.mem") ?? "";
    const wrong = new Map(files).set(
      "fc2.values.mem",
      text.replace(/^../, text.startsWith("00") ? "7f" : "00"),
    );
    expect(simulate({ files: wrong, layers }, layers[3])).toMatch(
      /place 0, row 0: .*\n6 sums, 1 different$/s,
    );
  });

  test.each([
    ["uint8", smallNetwork(), DIMS],
    ["int8", manyOperators(), [4, 9, 7]],
    ["binary", smallNetwork(), DIMS],
  ] as const)(
    "computes whole layers as the reference does in the network, with %s activations",
    async (format, model, dims) => {
      const quantization =
        format === "binary" ? binaryActivations(model) : await quantizationOf(model, dims, "int8", format);
      const program = lowerProgram(model, quantization, imagePacking());
      const images = writeImages(program, quantization, "whole");
      const [input] = samples(1, program.input.size);
      let compared = 0;
      for (const [step, read, made] of stepsOf(program, input)) {
        const layer = images.layers.find(({ name }) => name === step.layer);
        if (layer?.test?.compares !== "codes") continue;
        const { outHeight, outWidth } = step.window;
        const positions = outHeight * outWidth;
        const columns = columnsOf(step, read);
        const expected = Array.from({ length: positions * layer.rows }, (_, i) => {
          return made[(i % layer.rows) * positions + Math.floor(i / layer.rows)];
        });
        const more = { "input.mem": hex(columns), "expected.mem": hex(expected) };
        expect(simulate(images, layer, more, positions)).toBe(`${expected.length} codes, 0 different`);
        compared++;
      }
      expect(compared).toBeGreaterThanOrEqual(2);
    },
  );
});

/** Binary activations of both kinds. */
function binaryActivations(model: Model): Quantization {
  const of = (tensor: string, layer: string, zeroPoint: number): QuantizedActivation => ({
    tensor,
    layer,
    format: "binary",
    scale: 0.5,
    zeroPoint,
  });
  const activations = [
    of("input", "conv1", 0.5),
    of("relu1", "conv2", 0),
    of("flat", "fc1", 0),
    of("relu3", "fc2", 0),
  ];
  return { weights: quantizedWeights(model.graph, "int4"), activations };
}

function hex(bytes: ArrayLike<number>): string {
  return Array.from(bytes, (byte) => (byte & 255).toString(16).padStart(2, "0")).join("\n");
}

function stepsOf(program: Program, input: Float32Array): (readonly [Linear, Elements, Elements])[] {
  const steps: (readonly [Linear, Elements, Elements])[] = [];
  runProgram(program, input, (step, read, made) => {
    if (step.op === "linear") steps.push([step, read[0], made]);
  });
  return steps;
}

/** What lies under the window of a layer, place by place: [places, channels of all groups, kernel]. */
function columnsOf({ window, weights: { rows }, rowsPerGroup, input }: Linear, read: Elements): number[] {
  const { height, width, outHeight, outWidth, kernelHeight, kernelWidth } = window;
  const channels = (rows / rowsPerGroup) * window.channels;
  const columns: number[] = [];
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      for (let channel = 0; channel < channels; channel++) {
        for (let ky = 0; ky < kernelHeight; ky++) {
          for (let kx = 0; kx < kernelWidth; kx++) {
            const atY = y * window.strideY - window.padY + ky * window.dilationY;
            const atX = x * window.strideX - window.padX + kx * window.dilationX;
            const isInside = atY >= 0 && atX >= 0 && atY < height && atX < width;
            columns.push(isInside ? read[(channel * height + atY) * width + atX] : (input.codes?.zero ?? 0));
          }
        }
      }
    }
  }
  return columns;
}
