/** The interface: sources, batches, what networks say of themselves, classes, and errors. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { lenet5 } from "../../kofn/src/models/lenet.js";
import { Builder } from "../../kofn/src/onnx/builder.js";
import { emptyGraph } from "../../kofn/src/onnx/model.js";
import { tensor, tensorFrom } from "../../kofn/src/onnx/tensor.js";
import { sparseContents } from "../../kofn/src/pack/contents.js";
import { encodeKofn } from "../../kofn/src/pack/file.js";
import { kernels, weights } from "../../kofn/src/prune/spec.js";
import { withQuantizedActivations } from "../../kofn/src/quantize/simulate.js";
import { execute, modelOf } from "../../kofn/test/support/execute.js";
import { NetworkError } from "../src/errors.js";
import { load } from "../src/load.js";
import type { Network } from "../src/network.js";
import { type Case, largestError, packedCase, prunedBy, TOLERANCE } from "./support/cases.js";

const PIXELS = 28 * 28;
let digits: Case;
let net: Network;

beforeAll(async () => {
  const model = lenet5();
  model.metadata.set("kofn.input.mean", "[0.25]").set("kofn.input.std", "[0.5]");
  const spec = { conv2: kernels({ keep: 0.25 }), fc1: weights({ k: 32 }) };
  digits = await packedCase("lenet-5", prunedBy(model, spec), [40, 1, 28, 28]);
  net = await load(digits.file);
});

describe("load", () => {
  it("reads bytes, buffers, paths and addresses", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kofn-"));
    const path = join(folder, "model.kofn");
    writeFileSync(path, digits.file);
    const server = createServer((request, response) => {
      if (request.url === "/model.kofn") response.end(digits.file);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const buffer = digits.file.slice().buffer;
      for (const source of [buffer, path, pathToFileURL(path), `${address}/model.kofn`]) {
        const { info } = await load(source);
        expect(info).toEqual(net.info);
      }
      await expect(load(`${address}/other.kofn`)).rejects.toThrow("the server answers 404");
      await expect(load(join(folder, "other.kofn"))).rejects.toThrow("other.kofn: can't be read");
    } finally {
      server.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("names an operator that has no kernel", async () => {
    const b = new Builder(emptyGraph("g"));
    const type = { dtype: "float32", shape: ["batch", 4] } as const;
    b.graph.inputs.push({ name: "x", type });
    b.graph.valueTypes.set("x", type);
    b.output(b.op("CumSum", ["x", b.initializer("axis", tensorFrom("int64", [], [1]))], {}, "sums"));
    const { bytes } = encodeKofn(sparseContents(modelOf(b.graph)));
    await expect(load(bytes)).rejects.toThrow(
      'node "sums" (CumSum): the runtime has no kernel for this operator',
    );
  });

  it("refuses what it can't compute, by the node's name", async () => {
    const b = new Builder(emptyGraph("g"));
    const type = { dtype: "float32", shape: ["batch", 2, 6, 5] } as const;
    b.graph.inputs.push({ name: "x", type });
    b.graph.valueTypes.set("x", type);
    b.output(b.op("Pow", ["x", b.initializer("power", tensorFrom("float32", [], [1.7]))], {}, "powers"));
    const { bytes } = encodeKofn(sparseContents(modelOf(b.graph)));
    await expect(load(bytes)).rejects.toThrow('node "powers" (Pow): only the exponents -1, 0.5, 1, 2 and 3');
  });
});

describe("run", () => {
  it("computes batches of any size, alike", () => {
    const whole = net.run(digits.input);
    expect(largestError(whole, digits.expected)).toBeLessThan(TOLERANCE);
    for (const batch of [1, 7, 8, 33]) {
      const part = net.run(digits.input.subarray(0, batch * PIXELS));
      expect(largestError(part, digits.expected.slice(0, batch * 10))).toBeLessThan(TOLERANCE);
    }
  });

  it("writes into an array of the caller", () => {
    const results = new Float32Array(20);
    expect(net.run(digits.input.subarray(0, 2 * PIXELS), results)).toBe(results);
    expect(largestError(results, digits.expected.slice(0, 20))).toBeLessThan(TOLERANCE);
  });

  it("says which length does not fit", () => {
    expect(() => net.run(new Float32Array(785))).toThrow(
      "the input has 785 numbers, expected a multiple of 784, the size of a sample [1, 1, 28, 28]",
    );
    expect(() => net.run(new Float32Array(0))).toThrow(NetworkError);
    expect(() => net.run(new Float32Array(784), new Float32Array(9))).toThrow(
      "the output has 9 numbers, expected 10",
    );
  });
});

describe("info", () => {
  it("says what each layer is, how it is stored and how it is computed", () => {
    const { input, output, bytes, labels, provenance, normalization, layers } = net.info;
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

  it("normalises pixels and ranks the classes", () => {
    const classes = net.classify(grey);
    const logits = net.run(Float32Array.from(grey, (value) => (value / 255 - 0.25) / 0.5));
    expect(classes.map(({ index }) => logits[index])).toEqual([...logits].sort((a, b) => b - a));
    expect(classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6);
    expect(classes[0].label).toBe(net.info.labels[classes[0].index]);
  });

  it("takes images as canvases give them, on black", () => {
    const data = Uint8ClampedArray.from({ length: 4 * PIXELS }, (_, i) =>
      i % 4 === 3 ? 255 : grey[Math.floor(i / 4)],
    );
    expect(net.classify({ data, width: 28, height: 28 })[0].probability).toBeCloseTo(
      net.classify(grey)[0].probability,
      5,
    );
    const clear = net.classify({
      data: data.map((value, i) => (i % 4 === 3 ? 0 : value)),
      width: 28,
      height: 28,
    });
    expect(clear).toEqual(net.classify(new Uint8Array(PIXELS)));
  });

  it("says what does not fit", async () => {
    expect(() => net.classify({ data: [], width: 280, height: 280 })).toThrow(
      "the image has 280x280 pixels, the network reads 28x28",
    );
    expect(() => net.classify(new Uint8Array(3))).toThrow("3 pixels, the network reads 784");
    const bare = await load(encodeKofn(sparseContents(lenet5())).bytes);
    expect(() => bare.classify(grey)).toThrow("does not say how its input is normalised");
  });
});

it("runs networks with quantized weights and activations as onnxruntime does", async () => {
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
  const quantized = await load(encodeKofn(contents).bytes);
  const expected = Float32Array.from(results.get("logits")?.numbers() ?? []);
  // A code more or less where float32 rounds differently.
  expect(largestError(quantized.run(input), expected)).toBeLessThan(2e-3);
});
