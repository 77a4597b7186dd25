/** Gradients of whole exported classifiers: against finite differences in float64, and on onnxruntime in float32. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { importModel } from "../../src/import/import.js";
import { modelOf } from "../../src/lower/model.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { loadModel } from "../../src/files/models.js";
import { inferGraph } from "../../src/onnx/infer.js";
import { emptyGraph, type Graph } from "../../src/onnx/model.js";
import { foldConstants } from "../../src/onnx/passes.js";
import { type Tensor, tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { trainable } from "../../src/step/parameters.js";
import { double, execute, single } from "../support/execute.js";
import { sharedFolder } from "../support/fixtures.js";

const BATCH = 2;
const STEP = 1e-6;
const SEED = 3;

const folder = sharedFolder("fixtures");

interface Classifier {
  readonly graph: Graph;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly images: Tensor;
}

async function load(name: string): Promise<Classifier> {
  const path = `${folder ?? ""}/${name}`;
  const { graph } = importModel(await loadModel(`${path}.onnx`));
  const parameters = new Map(
    trainable(graph).flatMap((parameter) => {
      const value = graph.initializers.get(parameter);
      return value === undefined ? [] : [[parameter, value] as const];
    }),
  );
  const dims = [BATCH, ...(graph.inputs[0].type?.shape ?? []).slice(1).map(Number)];
  const pixels = new Float32Array(Uint8Array.from(readFileSync(`${path}.input.bin`)).buffer);
  const images = tensor(
    "float32",
    dims,
    pixels.slice(
      0,
      dims.reduce((size, dim) => size * dim, 1),
    ),
  );
  return { graph, parameters, images };
}

/** The gradient graph of the mean cross-entropy in one floating-point type: outputs "loss", and "d:NAME" per parameter. */
function gradientGraph({ graph, parameters, images }: Classifier, typed: (value: Tensor) => Tensor): Graph {
  const [{ name: input }] = graph.inputs;
  const { dtype } = typed(images);
  const fixed: Graph = {
    ...graph,
    inputs: [
      { name: input, type: { dtype, shape: images.dims } },
      ...[...parameters].map(([name, { dims }]) => ({ name, type: { dtype, shape: dims } })),
    ],
    outputs: graph.outputs.map(({ name }) => ({ name, type: undefined })),
    nodes: [...graph.nodes],
    initializers: new Map([...graph.initializers].map(([name, value]) => [name, typed(value)])),
    valueTypes: new Map(),
  };
  fixed.valueTypes = inferGraph(fixed);
  foldConstants(fixed);
  const b = new Builder(emptyGraph("gradients"));
  b.input(input, dtype, images.dims);
  for (const [name, value] of fixed.initializers) {
    if (parameters.has(name)) b.input(name, dtype, value.dims);
    else b.initializer(name, value);
  }
  for (const node of fixed.nodes) b.push(node);
  const labels = b.constant(
    "int64",
    [BATCH],
    Array.from({ length: BATCH }, (_, i) => i),
  );
  const loss = b.op("SoftmaxCrossEntropy", [graph.outputs[0].name, labels], {}, "loss");
  b.output(loss);
  const gradients = differentiate(b, loss, [...parameters.keys()]);
  for (const [name, gradient] of gradients) b.output(gradient, `d:${name}`);
  return b.graph;
}

function feedsOf(
  { graph, parameters, images }: Classifier,
  typed: (value: Tensor) => Tensor,
): Map<string, Tensor> {
  const all = new Map([[graph.inputs[0].name, images], ...parameters]);
  return new Map([...all].map(([name, value]) => [name, typed(value)]));
}

const NAMES = ["lenet5-mnist", "small-mobile-random", "tiny-attention-random"];

describe.skipIf(folder === undefined).each(NAMES)("gradients of %s", (name) => {
  test("are finite differences, and onnxruntime computes them", { timeout: 60_000 }, async () => {
    const classifier = await load(name);
    const graph = gradientGraph(classifier, double);
    const feeds = feedsOf(classifier, double);
    const exact = evaluateGraph(graph, feeds);
    const random = new Random(SEED, name);
    expect(exact.size).toBe(1 + classifier.parameters.size);
    for (const [parameter, value] of classifier.parameters) {
      const values = double(value).numbers();
      const at = random.below(values.length);
      const lossAt = (step: number): number => {
        const moved = tensorFrom("float64", value.dims, values.with(at, values[at] + step));
        return (
          evaluateGraph(graph, new Map(feeds).set(parameter, moved), ["loss"]).get("loss")?.numbers()[0] ??
          NaN
        );
      };
      const expected = (lossAt(STEP) - lossAt(-STEP)) / (2 * STEP);
      const actual = exact.get(`d:${parameter}`)?.numbers()[at] ?? NaN;
      expect(Math.abs(actual - expected), `${parameter}[${at}] (seed ${SEED})`).toBeLessThan(
        1e-7 + 1e-5 * Math.abs(expected),
      );
    }

    const { graph: lowered } = modelOf(gradientGraph(classifier, single));
    const computed = await execute(lowered, feedsOf(classifier, single));
    for (const [output, wanted] of exact) {
      const [expected, actual] = [wanted.numbers(), computed.get(output)];
      expect(actual?.dims, output).toEqual(wanted.dims);
      const got = actual?.numbers() ?? [];
      const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i])), 0);
      expect(error, output).toBeLessThan(1e-3 * scale + 1e-6);
    }
  });
});
