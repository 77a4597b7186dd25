import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { decodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import { loadModel } from "../../src/files/models.js";
import { printGraph } from "../../src/onnx/print.js";
import { topologicalSort, validate } from "../../src/onnx/validate.js";
import { sharedFolder } from "../support/fixtures.js";
import { run } from "./messages.js";

const folder = sharedFolder("fixtures");

const NAMES = [
  "lenet5-mnist",
  "resnet20-cifar10",
  "resnet20-cifar10-folded",
  "small-mobile-random",
  "tiny-attention-random",
];
const floatsOf = (path: string): Float32Array => new Float32Array(Uint8Array.from(readFileSync(path)).buffer);

describe.skipIf(folder === undefined).each(NAMES)("%s", (name) => {
  const path = `${folder ?? ""}/${name}`;

  test("decodes and encodes to the bytes that PyTorch wrote", async () => {
    const bytes = readFileSync(`${path}.onnx`);
    const model = await loadModel(`${path}.onnx`);
    const again = encodeModelBytes(model);
    expect(Buffer.compare(again, bytes)).toBe(0);
    expect(isDeepStrictEqual(decodeModel(again, name), model)).toBe(true);
  });

  test("is well formed and in order", async () => {
    const model = await loadModel(`${path}.onnx`);
    validate(model);
    const order = topologicalSort(model.graph);
    expect(order.every((node, i) => node === model.graph.nodes[i])).toBe(true);
    expect(printGraph(model).split("\n").length).toBe(
      1 + model.graph.inputs.length + model.graph.initializers.size + model.graph.nodes.length + 1,
    );
  });

  test("gives the same logits in onnxruntime, which are those of PyTorch", async () => {
    const bytes = readFileSync(`${path}.onnx`);
    const model = decodeModel(bytes, name);
    // Something changed and back, so that this is not the file again.
    model.producerName = "kofn";
    const shape = model.graph.inputs[0].type?.shape ?? [];
    const data = floatsOf(`${path}.input.bin`);
    const feeds = { input: new OrtTensor("float32", data, [4, ...shape.slice(1).map(Number)]) };
    const before = (await run(bytes, feeds)).logits.data as Float32Array;
    const after = (await run(encodeModelBytes(model), feeds)).logits.data as Float32Array;
    const expected = floatsOf(`${path}.logits.bin`);
    expect(after).toEqual(before);
    expect(after).toHaveLength(expected.length);
    const difference = Math.max(...expected.map((logit, i) => Math.abs(logit - after[i])));
    expect(difference).toBeLessThan(1e-3);
  });

  test("is refused when cut in half", () => {
    const bytes = readFileSync(`${path}.onnx`);
    expect(() => decodeModel(bytes.subarray(0, bytes.length / 2), name)).toThrow(InputError);
    expect(() => decodeModel(bytes.subarray(0, bytes.length / 2), name)).toThrow(/the file may be cut short/);
  });
});
