/** What `kofn inspect` says of models that can't be trained: every reason, each with where it is. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspected } from "../../src/cli/untrainable.js";
import { Builder } from "../../src/onnx/builder.js";
import { saveModel } from "../../src/files/models.js";
import { int, type Model } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { tinyModel } from "../support/tiny.js";
import { kofn } from "./process.js";

/** The tiny model, changed. */
function changed(change: (model: Model) => void): Model {
  const model = tinyModel();
  change(model);
  return model;
}

/** With a node between the last layer and the output. */
function behind(append: (b: Builder, logits: string) => void): Model {
  return changed(({ graph }) => {
    const [{ name: logits }] = graph.outputs.splice(0);
    append(new Builder(graph), logits);
  });
}

const MODELS: Readonly<Record<string, Model>> = {
  "operator that is not known": changed(({ graph }) => {
    graph.nodes[1].op = "GridSample";
  }),
  "operator of another domain": changed(({ graph }) => {
    graph.nodes[1].domain = "com.example";
  }),
  "old operator set": changed((model) => {
    model.opsets.set("", 8);
  }),
  "weights of another type": changed(({ graph }) => {
    graph.initializers.set("fc.bias", tensorFrom("float64", [3], [1, 2, 3]));
  }),
  "two inputs": changed(({ graph }) => {
    graph.inputs.push({ name: "lengths", type: { dtype: "float32", shape: [1] } });
  }),
  "input of unknown size": changed(({ graph }) => {
    graph.inputs[0].type = { dtype: "float32", shape: ["batch", 1, "height", "width"] };
    graph.nodes = graph.nodes.filter(({ op }) => op !== "Gemm" && op !== "Flatten");
    graph.outputs = [{ name: "pool", type: undefined }];
  }),
  "output that is no logits": behind((b, logits) => {
    b.output(b.op("Unsqueeze", [logits, b.vector([2])], {}, "boxes"));
  }),
  "two outputs": behind((b, logits) => {
    b.output(logits);
    b.output(b.op("ArgMax", [logits], { axis: int(1), keepdims: int(0) }, "class"));
  }),
  "weights that are NaN": changed(({ graph }) => {
    graph.initializers.set("fc.bias", tensorFrom("float32", [3], [1, NaN, Infinity]));
  }),
  "operator without a gradient": behind((b, logits) => {
    b.output(b.op("Mod", [logits, b.constant("float32", [1], [2])], { fmod: int(1) }, "wrapped"));
  }),
};

describe("inspected", () => {
  test("gives no reason for a model that can be trained", () => {
    expect(inspected(tinyModel()).reasons).toEqual([]);
  });

  test("gives every reason", () => {
    const reasons = Object.entries(MODELS).map(([name, model]) => [name, inspected(model).reasons]);
    expect(Object.fromEntries(reasons)).toMatchInlineSnapshot(`
      {
        "input of unknown size": [
          "model "tiny": expected an image input of known size, got "input" [batch, 1, height, width]; export it with fixed channels, height and width",
        ],
        "old operator set": [
          "model "tiny": kofn imports operator sets (ai.onnx) 9 to 21, but the model has 8; export it with opset_version=21",
        ],
        "operator of another domain": [
          "model "tiny": kofn can't import one node: node "conv/Relu" (Relu): kofn does not know this operator of domain "com.example". Export the model again without them.",
        ],
        "operator that is not known": [
          "model "tiny": kofn can't import one node: node "conv/Relu" (GridSample): kofn does not know this operator. Export the model again without them.",
        ],
        "operator without a gradient": [
          "node "wrapped" (Mod): its result jumps wherever its first input is a multiple of the second",
        ],
        "output that is no logits": [
          "model "tiny": expected a classifier with one output of logits [batch, classes], got one "boxes" [batch, 3, 1]",
        ],
        "two inputs": [
          "model "tiny": expected one image input [batch, channels, height, width] of known size, got 2: "input" [batch, 1, 8, 8], "lengths" [1]",
        ],
        "two outputs": [
          "model "tiny": expected a classifier with one output of logits [batch, classes], got 2: "fc" [batch, 3], "class" [batch]",
        ],
        "weights of another type": [
          "node "fc" (Gemm): element types differ: float32 and float32 and float64",
        ],
        "weights that are NaN": [
          "model "tiny": expected finite weights, found NaN or infinity in "fc.bias" (2 of 3); the training that made them has diverged, take an earlier state of the model",
        ],
      }
    `);
  });

  test("gives several at once", () => {
    const model = MODELS["operator without a gradient"];
    const initializers = new Map(model.graph.initializers);
    initializers.set("fc.bias", tensorFrom("float32", [3], [NaN, 0, 0]));
    expect(inspected({ ...model, graph: { ...model.graph, initializers } }).reasons).toHaveLength(2);
  });
});

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-untrainable-"));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

test("kofn inspect prints the reason, and shows the model nevertheless", async () => {
  await saveModel(MODELS["operator without a gradient"], join(base, "wrapped.onnx"));
  const { code, stdout } = await kofn(["inspect", "wrapped.onnx"], { cwd: base });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^can't be trained: node "wrapped" \(Mod\): its result jumps /m);
  expect(stdout).toMatch(/^conv +\[4, 1, 3, 3\] +36 /m);
  expect(stdout).not.toMatch(/^trained /m);
});
