/** Packed ONNX: onnxruntime, native and in WebAssembly, computes with it what it computes with the model, and expands it at load. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Provider, WEIGHT_FORMATS } from "@kofn/format/run/words.js";
import fc from "fast-check";
import { InferenceSession } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/session.js";
import { decodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import type { Model } from "../../src/onnx/model.js";
import { validate } from "../../src/onnx/validate.js";
import { modelOfKofn } from "../../src/pack/file.js";
import { packOnnx } from "../../src/pack/onnx.js";
import type { KofnContents, PackOptions } from "../../src/pack/types.js";
import { kernels, weights } from "../../src/prune/spec.js";
import { uniform } from "../import/support.js";
import { quantizedActivations } from "../integers/networks.js";
import { contentsOf, type Recipe, recipes } from "./networks.js";

const IMAGES = uniform([1000, 2, 5, 5], 3);
const RECIPE: Recipe = {
  seed: 1,
  maps: 6,
  hidden: 18,
  conv: kernels({ k: 1 }),
  fc1: weights({ k: 5, share: 2 }),
  fc2: weights({ k: 3 }),
  format: "float32",
};

async function logits(model: Model, provider: Provider): Promise<Float32Array> {
  const engine = await Engine.open({ threads: 1, provider });
  const session = await engine.session(model);
  try {
    const input = engine.value("float32", IMAGES.dims, IMAGES.array());
    const { logits: values } = await session.run({ input }, { logits: null });
    return (values.data as Float32Array).slice();
  } finally {
    await session.close();
  }
}

/** The operators that onnxruntime is left with once it has loaded a model. */
async function optimized(model: Model): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "kofn-optimized-"));
  try {
    const optimizedModelFilePath = join(folder, "optimized.onnx");
    const options = { optimizedModelFilePath, intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
    const session = await InferenceSession.create(encodeModelBytes(model), options);
    await session.release();
    const { graph } = decodeModel(await readFile(optimizedModelFilePath), "optimized");
    return graph.nodes.map(({ op }) => op);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function expectSame(contents: KofnContents, options: PackOptions, provider: Provider): Promise<void> {
  const { model } = packOnnx(contents, options);
  validate(model);
  const [actual, expected] = [await logits(model, provider), await logits(modelOfKofn(contents), provider)];
  expect(actual.every((value, i) => value === expected[i])).toBe(true);
}

describe("a packed model", () => {
  const formats = ["float32", ...WEIGHT_FORMATS] as const;
  test.each(
    formats.flatMap((format) => (["cpu", "wasm"] as const).map((provider) => [format, provider] as const)),
  )("of %s computes on %s exactly what the masked model does, on 1,000 inputs", async (format, provider) => {
    await expectSame(contentsOf({ ...RECIPE, format }), {}, provider);
  });

  test.each(["bitmap", "indices"] as const)("with positions as %s computes the same", async (positions) => {
    const contents = contentsOf({ ...RECIPE, fc1: weights({ k: 20 }), format: "binary" });
    for (const provider of ["cpu", "wasm"] as const) await expectSame(contents, { positions }, provider);
    expect(packOnnx(contents, { positions }).weights.map((weight) => weight.positions)).toEqual([
      positions,
      positions,
      positions,
    ]);
  });

  test("of any network computes the same, with all nodes that expand it gone at load", async () => {
    const options = fc.record({ positions: fc.constantFrom("auto", "bitmap", "indices") });
    await fc.assert(
      fc.asyncProperty(recipes, options, async (recipe, how) => {
        const contents = contentsOf(recipe);
        await expectSame(contents, how, "cpu");
        expect(await optimized(packOnnx(contents, how).model)).toEqual(await optimized(contents.model));
      }),
      { numRuns: 25 },
    );
  });

  test("with quantized activations keeps these", async () => {
    const contents = contentsOf({ ...RECIPE, format: "int8" });
    const activations = quantizedActivations(contents.model, new Map([["input", [-1, 1]]]));
    await expectSame({ ...contents, quantization: { ...contents.quantization, activations } }, {}, "cpu");
  });

  test("in float16 computes nearly the same", async () => {
    const contents = contentsOf({ ...RECIPE, hidden: 60 });
    const { model, largestError } = packOnnx(contents, { values: "float16" });
    expect(largestError).toBeGreaterThan(0);
    expect(largestError).toBeLessThan(2 ** -11);
    expect(await optimized(model)).toEqual(await optimized(contents.model));
    const [actual, expected] = [await logits(model, "cpu"), await logits(contents.model, "cpu")];
    actual.forEach((value, i) => {
      expect(Math.abs(value - expected[i])).toBeLessThan(0.02);
    });
  });

  test("takes as many bytes as predicted, and its positions as few as they can", () => {
    for (const format of formats) {
      const conv = weights({ k: 4, per: "kernel" });
      const contents = contentsOf({ ...RECIPE, maps: 20, hidden: 200, conv, fc1: weights({ k: 9 }), format });
      const { model, predictedBytes, weights: packed } = packOnnx(contents);
      const { length } = encodeModelBytes(model);
      expect(Math.abs(predictedBytes / length - 1)).toBeLessThan(0.02);
      expect(packed.find(({ weight }) => weight === "fc1.weight")?.positions).toBe("indices");
      expect(packed.find(({ weight }) => weight === "conv.weight")?.positions).toBe("bitmap");
    }
  });
});
