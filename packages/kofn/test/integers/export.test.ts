/** Exports of quantized models: what onnxruntime computes with them, native and in WebAssembly, against plain arithmetic. */

import { type Provider, WEIGHT_FORMATS } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/session.js";
import { fusedKernels } from "../../src/files/fused-kernels.js";
import { exportQuantized } from "../../src/integers/export.js";
import { withoutQuantizedActivations, withQuantizedActivations } from "../../src/integers/simulate.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import type { Model } from "../../src/onnx/model.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { validate } from "../../src/onnx/validate.js";
import type { QuantizedActivation, QuantizedWeight } from "../../src/quantize/types.js";
import { largestDifference, uniform } from "../import/support.js";
import { branchingModel, quantizedActivations, quantizedWeights, residualModel } from "./networks.js";

const BATCH = 16;
const X = uniform([BATCH, 2, 8, 8], 7);

async function run(model: Model, names: readonly string[] = ["logits"], provider: Provider = "cpu") {
  const engine = await Engine.open({ threads: 1, provider });
  const outputs = names.map((name) => ({ name, type: { dtype: "float32", shape: undefined } as const }));
  const session = await engine.session({ ...model, graph: { ...model.graph, outputs } });
  const feeds = { input: engine.value("float32", X.dims, X.array()) };
  const results = await session.run(feeds, Object.fromEntries(names.map((name) => [name, null])));
  await session.close();
  return new Map(
    Object.entries(results).map(([name, { dims, data }]) => {
      return [name, tensor("float32", dims, (data as Float32Array).slice())] as const;
    }),
  );
}

/** Scale times code in place of each weight. */
function withWeights(model: Model, weights: readonly QuantizedWeight[]): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { weight, axis, scale, codes } of weights) {
    const { dims } = found(initializers.get(weight), weight);
    const inner = dims.slice(axis + 1).reduce((size, dim) => size * dim, 1);
    const values = Float32Array.from(codes, (code, i) => code * scale[Math.floor(i / inner) % dims[axis]]);
    initializers.set(weight, tensor("float32", dims, values));
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

async function rangesOf(model: Model): Promise<Map<string, [number, number]>> {
  const names = model.graph.nodes.map(({ outputs }) => outputs[0]);
  const values = await run(model, names);
  values.set("input", X);
  return new Map([...values].map(([name, value]) => [name, spanOf(value.array())]));
}

function spanOf(values: Float32Array): [number, number] {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

const value = (results: ReadonlyMap<string, Tensor<"float32">>, name: string): Float32Array =>
  found(results.get(name), name).array();

describe("an export of quantized weights alone", () => {
  const web = ["binary", "int3", "int4", "int8"] as const;
  test.each([
    ...WEIGHT_FORMATS.map((format) => [format, "cpu"] as const),
    ...web.map((format) => [format, "wasm"] as const),
  ])("%s computes on %s what scale times code computes", async (format, provider) => {
    const model = residualModel();
    const weights = quantizedWeights(model.graph, format);
    const exported = exportQuantized(model, { weights, activations: [] });
    validate(exported.model);
    const [expected, actual] = await Promise.all([
      run(withWeights(model, weights), ["logits"], provider),
      run(exported.model, ["logits"], provider),
    ]);
    expect(largestDifference(actual.get("logits"), expected.get("logits"))).toBeLessThan(1e-5);
    expect(exported.kernels).toHaveLength(5);
    expect(await fusedKernels(exported)).toEqual(exported.kernels);
  });

  test.each([
    ["int8", 8],
    ["int6", 6],
    ["int4", 4],
    ["int3", 3],
    ["ternary", 2],
  ] as const)("stores %s in %i bits a weight", (format, bits) => {
    const model = residualModel();
    const weights = quantizedWeights(model.graph, format);
    const { graph } = exportQuantized(model, { weights, activations: [] }).model;
    for (const { weight, codes } of weights) {
      expect(graph.initializers.has(weight)).toBe(false);
      const stored = graph.initializers.get(`${weight}/stored`)?.bytes.length ?? 0;
      expect(stored).toBeGreaterThanOrEqual(Math.floor((codes.length * bits) / 8));
      expect(stored).toBeLessThan((codes.length * bits) / 8 + bits);
    }
  });

  test("stores binary weights that are all kept in 1 bit", async () => {
    const model = residualModel();
    const [first] = quantizedWeights(model.graph, "binary");
    const weights = [{ ...first, codes: first.codes.map((code) => code || 1) }];
    const exported = exportQuantized(model, { weights, activations: [] }).model;
    expect(exported.graph.initializers.get("conv1.weight/stored")?.bytes).toHaveLength(Math.ceil(90 / 8));
    for (const provider of ["cpu", "wasm"] as const) {
      const expected = await run(withWeights(model, weights), ["logits"], provider);
      const actual = await run(exported, ["logits"], provider);
      expect(largestDifference(actual.get("logits"), expected.get("logits"))).toBeLessThan(1e-5);
    }
  });

  test("gives the same bytes each time and leaves the model as it is", () => {
    const model = residualModel();
    const before = encodeModelBytes(model);
    const quantization = { weights: quantizedWeights(model.graph, "int3"), activations: [] };
    const bytes = () => encodeModelBytes(exportQuantized(model, quantization).model);
    expect(Buffer.compare(bytes(), bytes())).toBe(0);
    expect(Buffer.compare(encodeModelBytes(model), before)).toBe(0);
  });
});

describe("an export of quantized weights and activations", () => {
  test.each(["uint8", "int8"] as const)("multiplies integers in all layers (%s)", async (format) => {
    const model = residualModel();
    const weights = quantizedWeights(model.graph, "int8");
    const activations = quantizedActivations(model, await rangesOf(model), format);
    const exported = exportQuantized(model, { weights, activations });
    validate(exported.model);
    const ops = Object.fromEntries((await fusedKernels(exported)).map(({ layer, op }) => [layer, op]));
    expect(ops).toMatchObject({ conv2: "QLinearConv", fc1: "QGemm", fc2: "QGemm" });
    const simulated = withQuantizedActivations(withWeights(model, weights), activations);
    const expected = value(await run(simulated), "logits");
    const [low, high] = spanOf(expected);
    for (const provider of ["cpu", "wasm"] as const) {
      const actual = value(await run(exported.model, ["logits"], provider), "logits");
      const worst = Math.max(...actual.map((logit, i) => Math.abs(logit - expected[i])));
      // An activation that lies between two codes may become the other one: a few 255ths of the range.
      expect(worst).toBeLessThan((3 * (high - low)) / 255);
    }
  });

  test.each(["uint8", "int8"] as const)(
    "multiplies integers where layers read the same (%s)",
    async (format) => {
      const model = branchingModel();
      const weights = quantizedWeights(model.graph, "int8");
      const layers = ["conv1", "conv2", "conv3", "conv4", "conv5"];
      const activations = quantizedActivations(model, await rangesOf(model), format, layers);
      const exported = exportQuantized(model, { weights, activations });
      validate(exported.model);
      const kernels = await fusedKernels(exported);
      expect(kernels.map(({ op }) => op)).toEqual([...layers.map(() => "QLinearConv"), undefined]);
      const simulated = withQuantizedActivations(withWeights(model, weights), activations);
      const expected = value(await run(simulated), "logits");
      const [low, high] = spanOf(expected);
      for (const provider of ["cpu", "wasm"] as const) {
        const actual = value(await run(exported.model, ["logits"], provider), "logits");
        const worst = Math.max(...actual.map((logit, i) => Math.abs(logit - expected[i])));
        expect(worst).toBeLessThan((3 * (high - low)) / 255);
      }
    },
  );

  test("multiplies integers for weights of few bits, too", async () => {
    const model = residualModel();
    const activations = quantizedActivations(model, await rangesOf(model));
    for (const format of ["int4", "ternary", "binary"] as const) {
      const weights = quantizedWeights(model.graph, format);
      const kernels = await fusedKernels(exportQuantized(model, { weights, activations }));
      expect(kernels.map(({ op }) => op)).toEqual([
        "QLinearConv",
        "QLinearConv",
        "QLinearConv",
        "QGemm",
        "QGemm",
      ]);
    }
  });

  test("computes what sums of products of integers give", async () => {
    const model = residualModel();
    const weights = quantizedWeights(model.graph, "int5");
    const ranges = await rangesOf(model);
    const activations = quantizedActivations(model, ranges, "uint8", ["conv2", "conv3", "fc1"]);
    const exported = exportQuantized(model, { weights, activations });
    expect((await fusedKernels(exported)).map(({ op }) => op)).toEqual([
      undefined,
      "QLinearConv",
      "QLinearConv",
      "QGemm",
      undefined,
    ]);
    const results = await run(exported.model, ["relu1", "flat", "relu3"]);
    const of = (tensorName: string): QuantizedActivation =>
      found(
        activations.find((one) => one.tensor === tensorName),
        tensorName,
      );
    const weightOf = (name: string): QuantizedWeight =>
      found(
        weights.find((one) => one.layer === name),
        name,
      );
    const biasOf = (name: string): Float32Array =>
      (model.graph.initializers.get(`${name}.bias`) as Tensor<"float32">).array();

    const read = of("relu1");
    const x = codesOf(value(results, "relu1"), read);
    const { codes, scale } = weightOf("conv2");
    const pooled = of("pool");
    const expected = new Float32Array(BATCH * 6 * 64);
    for (let n = 0, at = 0; n < BATCH; n++) {
      for (let c = 0; c < 6; c++) {
        const unit = read.scale * scale[c];
        const bias = Math.round(biasOf("conv2")[c] / unit);
        for (let row = 0; row < 8; row++) {
          for (let column = 0; column < 8; column++, at++) {
            let sum = bias;
            for (let i = 0; i < 5; i++) {
              for (let tap = 0; tap < 9; tap++) {
                const [y, z] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1];
                if (y < 0 || y > 7 || z < 0 || z > 7) continue;
                sum += (x[((n * 5 + i) * 8 + y) * 8 + z] - read.zeroPoint) * codes[(c * 5 + i) * 9 + tap];
              }
            }
            expected[at] = rounded(sum * unit, pooled);
          }
        }
      }
    }
    // relu2 itself is no longer made: its quantized value is.
    const made = await run(exported.model, ["relu2/dequantized"]);
    expect(differing(value(made, "relu2/dequantized"), expected, pooled.scale)).toEqual({ more: 0, one: 0 });

    const flat = of("flat");
    const y = codesOf(value(results, "flat"), flat);
    const fc1 = weightOf("fc1");
    const rectified = Float32Array.from({ length: BATCH * 20 }, (_, index) => {
      const [n, c] = [Math.floor(index / 20), index % 20];
      const unit = flat.scale * fc1.scale[c];
      let sum = Math.round(biasOf("fc1")[c] / unit);
      for (let i = 0; i < 96; i++) sum += (y[n * 96 + i] - flat.zeroPoint) * fc1.codes[c * 96 + i];
      return Math.max(0, sum * unit);
    });
    const actual = value(results, "relu3");
    expect(Math.max(...actual.map((one, i) => Math.abs(one - rectified[i])))).toBeLessThan(1e-5);
  });
});

describe("simulated activations", () => {
  test("can be taken out of the model again", async () => {
    const model = residualModel();
    const ranges = await rangesOf(model);
    const binary = { format: "binary", zeroPoint: 0.5 } as const;
    const activations: QuantizedActivation[] = [
      ...quantizedActivations(model, ranges).filter(({ layer }) => layer !== "fc2"),
      { tensor: "relu3", layer: "fc2", scale: 0.5, ...binary },
    ];
    const simulated = withQuantizedActivations(model, activations);
    expect(simulated.graph.nodes.length).toBeGreaterThan(model.graph.nodes.length);
    const bare = withoutQuantizedActivations(simulated, activations);
    expect(bare.graph.nodes).toEqual(model.graph.nodes);
    expect([...bare.graph.initializers]).toEqual([...model.graph.initializers]);
  });
});

describe("a quantization that does not belong to the model", () => {
  const model = residualModel();
  const [first] = quantizedWeights(model.graph, "int4");
  const activation = { tensor: "relu1", layer: "conv2", format: "uint8", scale: 0.1, zeroPoint: 0 } as const;

  test.each([
    [{ ...first, weight: "conv9.weight" }, /"conv9.weight": the model has no layer with this weight/],
    [{ ...first, codes: new Int8Array(3) }, /expected 90 codes, found 3/],
    [{ ...first, scale: new Float32Array(2) }, /expected 5 scales, found 2/],
    [{ ...first, scale: new Float32Array(5).fill(NaN) }, /expected finite scales of at least 0, found NaN/],
    [{ ...first, axis: 1 }, /expected output channels on axis 0, found 1/],
    [{ ...first, codes: first.codes.map(() => 8) }, /expected codes from -7 to 7, found 8/],
  ])("is refused for a weight (%#)", (weight, message) => {
    expect(() => exportQuantized(model, { weights: [weight], activations: [] })).toThrow(message);
  });

  test.each([
    [{ ...activation, tensor: "relu9" }, /"relu9": the model has no value of this name/],
    [{ ...activation, scale: 0 }, /expected a finite scale above 0, found 0/],
    [{ ...activation, zeroPoint: 256 }, /expected a zero point from 0 to 255, found 256/],
  ])("is refused for an activation (%#)", (one, message) => {
    expect(() => exportQuantized(model, { weights: [], activations: [one] })).toThrow(message);
  });

  test("is refused for a model of another operator set", () => {
    const old = { ...model, opsets: new Map([["", 13]]) };
    expect(() => exportQuantized(old, { weights: [], activations: [] })).toThrow(
      /expected operator set 21, got 13. Import it first/,
    );
  });
});

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`there is no "${name}"`);
  return value;
}

/** The codes of values, as QuantizeLinear rounds: to the nearest whole number, ties to even. */
function codesOf(values: Float32Array, activation: QuantizedActivation): number[] {
  return Array.from(values, (one) => rounded(one, activation) / activation.scale + activation.zeroPoint).map(
    Math.round,
  );
}

function rounded(one: number, { scale, zeroPoint }: QuantizedActivation): number {
  const ratio = one / scale;
  const floor = Math.floor(ratio);
  const isUp = ratio - floor > 0.5 || (ratio - floor === 0.5 && floor % 2 !== 0);
  const code = Math.max(0, Math.min(255, zeroPoint + floor + (isUp ? 1 : 0)));
  return scale * (code - zeroPoint);
}

/** How many values differ by one step, and by more. */
function differing(
  actual: Float32Array,
  expected: Float32Array,
  step: number,
): { one: number; more: number } {
  let [one, more] = [0, 0];
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => {
    const steps = Math.round(Math.abs(value - expected[i]) / step);
    if (steps === 1) one++;
    else if (steps > 1) more++;
  });
  return { one, more };
}
