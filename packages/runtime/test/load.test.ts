/** The interface: sources, batches, what networks say of themselves, classes, and errors. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lenet5 } from "../../kofn/src/models/lenet.js";
import { Builder } from "../../kofn/src/onnx/builder.js";
import { emptyGraph } from "../../kofn/src/onnx/model.js";
import { tensor, tensorFrom } from "../../kofn/src/onnx/tensor.js";
import { sparseContents } from "../../kofn/src/pack/contents.js";
import { encodeKofn } from "../../kofn/src/pack/file.js";
import { kernels, weights } from "../../kofn/src/prune/spec.js";
import { withQuantizedActivations } from "../../kofn/src/integers/simulate.js";
import { execute, modelOf } from "../../kofn/test/support/execute.js";
import type { Source } from "../src/source.js";
import { type Case, largestError, packedCase, prunedBy, TOLERANCE } from "./support/cases.js";
import { type Host, hostsOfFile, node } from "./support/hosts.js";

const PIXELS = 28 * 28;
const hosts = hostsOfFile();
let digits: Case;
let server: Server;
let address: string;

beforeAll(async () => {
  const model = lenet5();
  model.metadata.set("kofn.input.mean", "[0.25]").set("kofn.input.std", "[0.5]");
  const spec = { conv2: kernels({ keep: 0.25 }), fc1: weights({ k: 32 }) };
  digits = await packedCase("lenet-5", prunedBy(model, spec), [40, 1, 28, 28]);
  server = createServer((request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    if (request.url === "/model.kofn") response.end(digits.file);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
});

const infoOf = (host: Host, source: Source) =>
  host.call(async ({ load }, given) => (await load(given)).info, source);
const run = (host: Host, file: Uint8Array, input: Float32Array) =>
  host.call(async ({ load }, given) => (await load(given.file)).run(given.input), { file, input });

describe.each(hosts.map((host) => [host.name, host] as const))("in %s", (_, host) => {
  describe("load", () => {
    test("reads bytes, buffers and addresses", async () => {
      const info = await infoOf(host, digits.file);
      expect(info.bytes.file).toBe(digits.file.length);
      const buffered = await host.call(
        async ({ load }, file) => (await load(file.slice().buffer)).info,
        digits.file,
      );
      expect(buffered).toEqual(info);
      expect(await infoOf(host, `${address}/model.kofn`)).toEqual(info);
      expect(
        await host.call(async ({ load }, text) => (await load(new URL(text))).info, `${address}/model.kofn`),
      ).toEqual(info);
      await expect(infoOf(host, `${address}/other.kofn`)).rejects.toThrow("the server answers 404");
    });

    test("names an operator that has no kernel", async () => {
      const b = new Builder(emptyGraph("g"));
      const type = { dtype: "float32", shape: ["batch", 4] } as const;
      b.graph.inputs.push({ name: "x", type });
      b.graph.valueTypes.set("x", type);
      b.output(b.op("CumSum", ["x", b.initializer("axis", tensorFrom("int64", [], [1]))], {}, "sums"));
      const { bytes } = encodeKofn(sparseContents(modelOf(b.graph)));
      await expect(infoOf(host, bytes)).rejects.toThrow(
        'node "sums" (CumSum): the runtime has no kernel for this operator',
      );
    });

    test("refuses what it can't compute, by the node's name", async () => {
      const b = new Builder(emptyGraph("g"));
      const type = { dtype: "float32", shape: ["batch", 2, 6, 5] } as const;
      b.graph.inputs.push({ name: "x", type });
      b.graph.valueTypes.set("x", type);
      b.output(b.op("Pow", ["x", b.initializer("power", tensorFrom("float32", [], [1.7]))], {}, "powers"));
      const { bytes } = encodeKofn(sparseContents(modelOf(b.graph)));
      await expect(infoOf(host, bytes)).rejects.toThrow(
        'node "powers" (Pow): only the exponents -1, 0.5, 1, 2 and 3',
      );
    });
  });

  describe("run", () => {
    test("computes batches of any size, alike", async () => {
      const batches = [40, 1, 7, 8, 33];
      const parts = await host.call(
        async ({ load }, { file, inputs }) => {
          const net = await load(file);
          return inputs.map((input) => net.run(input));
        },
        { file: digits.file, inputs: batches.map((batch) => digits.input.slice(0, batch * PIXELS)) },
      );
      batches.forEach((batch, i) => {
        expect(largestError(parts[i], digits.expected.slice(0, batch * 10))).toBeLessThan(TOLERANCE);
      });
    });

    test("writes into an array of the caller", async () => {
      const { isSame, results } = await host.call(
        async ({ load }, { file, input }) => {
          const net = await load(file);
          const output = new Float32Array(20);
          return { isSame: net.run(input, output) === output, results: output };
        },
        { file: digits.file, input: digits.input.slice(0, 2 * PIXELS) },
      );
      expect(isSame).toBe(true);
      expect(largestError(results, digits.expected.slice(0, 20))).toBeLessThan(TOLERANCE);
    });

    test("says which length does not fit", async () => {
      const messages = await host.call(async ({ load, NetworkError }, file) => {
        const net = await load(file);
        const wrong: [input: Float32Array, output?: Float32Array][] = [
          [new Float32Array(785)],
          [new Float32Array(0)],
          [new Float32Array(784), new Float32Array(9)],
        ];
        return wrong.map((given) => {
          try {
            net.run(...given);
            return "";
          } catch (error) {
            return error instanceof NetworkError ? error.message : `another error: ${String(error)}`;
          }
        });
      }, digits.file);
      expect(messages).toEqual([
        "the input has 785 numbers, expected a multiple of 784, the size of a sample [1, 1, 28, 28]",
        "the input has 0 numbers, expected a multiple of 784, the size of a sample [1, 1, 28, 28]",
        "the output has 9 numbers, expected 10: 10 for each of 1 samples",
      ]);
    });

    test("computes with quantized weights and activations as onnxruntime does", async () => {
      const model = lenet5();
      const [hidden] = model.graph.nodes.filter(({ op }) => op === "Relu").slice(-1);
      const activations = [
        { tensor: "input", layer: "conv1", format: "int8", scale: 0.01, zeroPoint: 3 },
        { tensor: hidden.outputs[0], layer: "fc2", format: "uint8", scale: 0.02, zeroPoint: 0 },
      ] as const;
      const contents = { ...sparseContents(model), quantization: { weights: [], activations } };
      const input = digits.input.slice(0, PIXELS * 3);
      const results = await execute(
        withQuantizedActivations(model, activations).graph,
        new Map([["input", tensor("float32", [3, 1, 28, 28], input)]]),
      );
      const expected = Float32Array.from(results.get("logits")?.numbers() ?? []);
      const computed = await run(host, encodeKofn(contents).bytes, input);
      // A code more or less where float32 rounds differently.
      expect(largestError(computed, expected)).toBeLessThan(2e-3);
    });
  });

  describe("info", () => {
    test("says what each layer is, how it is stored and how it is computed", async () => {
      const info = await infoOf(host, digits.file);
      const { input, output, bytes, labels, provenance, normalization, layers } = info;
      expect([input, output, bytes.file]).toEqual([[1, 1, 28, 28], [1, 10], digits.file.length]);
      expect([labels[3], provenance.data, provenance.accuracy]).toEqual(["three", "glyphs", 0.5]);
      expect(normalization).toEqual({ mean: [0.25], std: [0.5] });
      expect(
        layers.map(({ name, granularity, k, n, kernel }) => [name, granularity, k?.[0], n, kernel]),
      ).toEqual([
        ["conv1", "dense", undefined, undefined, "taps of 4"],
        ["conv2", "kernels", 5, 20, "taps"],
        ["fc1", "weights", 32, 800, "rows"],
        ["fc2", "dense", undefined, undefined, "rows of 4"],
      ]);
      expect(layers[2]).toMatchObject({ weights: 400_000, kept: 16_000, density: 0.04, format: "float32" });
      expect(layers[2].why).toContain("4.0 % of the weights");
      expect(layers[2].fused).toHaveLength(1);
    });
  });

  describe("classify", () => {
    const grey = Uint8Array.from({ length: PIXELS }, (_, i) => (i * 7) % 256);
    const image = (opacity: number): { data: Uint8ClampedArray; width: number; height: number } => ({
      data: Uint8ClampedArray.from({ length: 4 * PIXELS }, (_, i) =>
        i % 4 === 3 ? opacity : grey[Math.floor(i / 4)],
      ),
      width: 28,
      height: 28,
    });
    const classify = (pixels: Uint8Array | ReturnType<typeof image>, file = digits.file) =>
      host.call(async ({ load }, given) => (await load(given.file)).classify(given.pixels), { file, pixels });

    test("normalises pixels and ranks the classes", async () => {
      const classes = await classify(grey);
      const input = Float32Array.from(grey, (value) => (value / 255 - 0.25) / 0.5);
      const logits = await run(host, digits.file, input);
      expect(classes.map(({ index }) => logits[index])).toEqual([...logits].sort((a, b) => b - a));
      expect(classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6);
      expect(classes[0].label).toBe((await infoOf(host, digits.file)).labels[classes[0].index]);
    });

    test("takes images as canvases give them, on black", async () => {
      const [opaque] = await classify(image(255));
      expect(opaque.probability).toBeCloseTo((await classify(grey))[0].probability, 5);
      expect(await classify(image(0))).toEqual(await classify(new Uint8Array(PIXELS)));
    });

    test("says what does not fit", async () => {
      await expect(classify({ ...image(0), width: 280, height: 280 })).rejects.toThrow(
        "the image has 280x280 pixels, the network reads 28x28",
      );
      await expect(classify(new Uint8Array(3))).rejects.toThrow("3 pixels, the network reads 784");
      await expect(classify(grey, encodeKofn(sparseContents(lenet5())).bytes)).rejects.toThrow(
        "does not say how its input is normalised",
      );
    });
  });
});

test("reads paths, in Node", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kofn-"));
  const path = join(folder, "model.kofn");
  writeFileSync(path, digits.file);
  try {
    const info = await infoOf(node, digits.file);
    for (const source of [path, pathToFileURL(path)]) expect(await infoOf(node, source)).toEqual(info);
    await expect(infoOf(node, join(folder, "other.kofn"))).rejects.toThrow("other.kofn: can't be read");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
