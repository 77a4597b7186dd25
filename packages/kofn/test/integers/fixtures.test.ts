/** Networks that PyTorch has trained, quantized after training: the export predicts what the float simulation predicts. */

import { describe, expect, test } from "vitest";
import { loadDataset } from "../../src/datasets/registry.js";
import { Engine } from "../../src/engine/session.js";
import { importModel } from "../../src/import/import.js";
import { loadModel } from "../../src/files/models.js";
import type { Model } from "../../src/onnx/model.js";
import { calibrate } from "../../src/integers/calibrate.js";
import { exportQuantized } from "../../src/integers/export.js";
import { fusedKernels } from "../../src/files/fused-kernels.js";
import { simulateQuantized } from "../../src/integers/simulate.js";
import { int8, uint8 } from "../../src/quantize/spec.js";
import { sharedFolder } from "../support/fixtures.js";

const fixtures = sharedFolder("fixtures");
const mnist = sharedFolder("datasets/mnist");
const IMAGES = 1000;

describe.skipIf(fixtures === undefined || mnist === undefined)("lenet5-mnist", () => {
  test("predicts the same for at least 99.9 % of the images, with integer kernels", async () => {
    const data = await loadDataset("mnist", { dir: mnist ?? "" });
    const { images } = data.test;
    if (!(images instanceof Uint8Array)) throw new Error("MNIST is in memory");
    const pixels = Float32Array.from(images.subarray(0, IMAGES * 784), (byte) => byte / 255);
    const model = importModel(await loadModel(`${fixtures ?? ""}/lenet5-mnist.onnx`));
    const quantization = await calibrate(model, data, {
      quantize: { "*": int8(), activations: uint8() },
      normalize: "none",
      images: 256,
      threads: 1,
    });
    const simulated = simulateQuantized(model, quantization);
    const exported = exportQuantized(model, quantization);
    expect((await fusedKernels(exported)).map(({ op }) => op)).toEqual([
      undefined,
      "QLinearConv",
      "QGemm",
      undefined,
    ]);
    const [float, expected, actual] = await Promise.all(
      [model, simulated, exported.model].map((one) => predictions(one, pixels)),
    );
    expect(agreement(actual, expected)).toBeGreaterThanOrEqual(0.999);
    expect(agreement(actual, float)).toBeGreaterThanOrEqual(0.998);
  });
});

async function predictions(model: Model, pixels: Float32Array): Promise<number[]> {
  const engine = await Engine.open({ threads: 1 });
  const session = await engine.session(model);
  const feeds = { input: engine.value("float32", [IMAGES, 1, 28, 28], pixels) };
  const { logits } = await session.run(feeds, { logits: null });
  const values = logits.data as Float32Array;
  await session.close();
  return Array.from({ length: IMAGES }, (_, i) => {
    const own = values.subarray(10 * i, 10 * i + 10);
    return own.indexOf(own.reduce((a, b) => Math.max(a, b)));
  });
}

function agreement(a: readonly number[], b: readonly number[]): number {
  return a.filter((one, i) => one === b[i]).length / a.length;
}
