/** Packed networks with inputs, and what onnxruntime computes of these: the same for tests in Node and in a browser. */

import { ZOO } from "../../../kofn/src/models/zoo.js";
import type { Model } from "../../../kofn/src/onnx/model.js";
import { type Tensor, tensor } from "../../../kofn/src/onnx/tensor.js";
import { prunedContents } from "../../../kofn/src/pack/contents.js";
import { encodeKofn } from "../../../kofn/src/pack/file.js";
import { NO_CONFIG } from "../../../kofn/src/pack/info-section.js";
import type { KofnContents } from "../../../kofn/src/pack/types.js";
import { maskedModel, maskOfLogits, masksOfWeights, weightMasksOf } from "../../../kofn/src/prune/mask.js";
import { planPrune } from "../../../kofn/src/prune/plan.js";
import { kernels, maps, weights } from "../../../kofn/src/prune/spec.js";
import type { PruneSpec } from "../../../kofn/src/prune/types.js";
import { Random } from "../../../kofn/src/random.js";
import { execute } from "../../../kofn/test/support/execute.js";

export interface Case {
  readonly name: string;
  readonly file: Uint8Array;
  /** Samples, one after the other. */
  readonly input: Float32Array<ArrayBuffer>;
  readonly expected: Float32Array;
}

type ZooName = keyof typeof ZOO;

/** Sides of the images, where they are not the network's own. */
const SIDES: Partial<Record<ZooName, number>> = { "mobilenet-v2": 64, "resnet-18": 48, "resnet-50": 32 };

/** What is pruned, by a name; "*" leaves out the first layer of convolutional networks, whose three channels are few. */
const PRUNINGS: Readonly<Record<string, { readonly spec: PruneSpec; readonly only?: readonly ZooName[] }>> = {
  dense: { spec: {} },
  "weights 1 %": { spec: { "*": weights({ keep: 0.01 }) } },
  "weights 10 %": { spec: { "*": weights({ keep: 0.1 }) } },
  "weights 60 %": { spec: { "*": weights({ keep: 0.6 }) }, only: ["lenet-5", "resnet-20"] },
  "weights 20 %, shared by 2": {
    spec: { "fc*": weights({ keep: 0.2, share: 2 }), "conv*": weights({ keep: 0.2, share: 2 }) },
    only: ["lenet-5"],
  },
  "weights 10 %, shared by 4": {
    spec: { "layer*": weights({ keep: 0.1, share: 4 }) },
    only: ["resnet-20"],
  },
  "weights per kernel 3 of 9": {
    spec: { "layer*.conv?": weights({ k: 3, per: "kernel" }) },
    only: ["resnet-20"],
  },
  "weights 2:4": { spec: { "fc*": weights({ tile: [2, 4] }) }, only: ["lenet-300-100"] },
  "kernels 10 %": {
    spec: { "layer*": kernels({ keep: 0.1 }) },
    only: ["resnet-20", "resnet-18"],
  },
  "kernels 30 %": { spec: { "conv*": kernels({ keep: 0.3 }) }, only: ["lenet-5"] },
  "maps 50 %": { spec: { "layer*": maps({ keep: 0.5 }) }, only: ["resnet-20"] },
};

/** Every network of the zoo, in every granularity and density that fits it; all that are large once or twice alone. */
export function caseNames(): string[] {
  return Object.keys(ZOO).flatMap((name) =>
    Object.entries(PRUNINGS).flatMap(([pruning, { only }]) => {
      const isLarge = ["resnet-32", "resnet-56", "resnet-18", "resnet-50", "vgg-16-bn"].includes(name);
      const fits =
        only === undefined ? !isLarge || pruning === "weights 10 %" : only.includes(name as ZooName);
      return fits ? [`${name}: ${pruning}`] : [];
    }),
  );
}

export async function caseOf(name: string, batch: number): Promise<Case> {
  const [zooName, pruning] = name.split(": ") as [ZooName, string];
  const model = ZOO[zooName]({ classes: 10 });
  const side = SIDES[zooName];
  if (side !== undefined) resize(model, side);
  const contents = prunedBy(model, PRUNINGS[pruning].spec);
  const [{ type }] = contents.model.graph.inputs;
  const dims = [batch, ...(type?.shape ?? []).slice(1).map(Number)];
  return packedCase(name, contents, dims);
}

/** A packed network with a random input of such a shape. */
export async function packedCase(
  name: string,
  contents: KofnContents,
  dims: readonly number[],
): Promise<Case> {
  const random = new Random(dims[0], "input");
  const input = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => 2 * random.uniform() - 1);
  const { graph } = contents.model;
  const results = await execute(graph, new Map([[graph.inputs[0].name, tensor("float32", dims, input)]]));
  const result = results.get(graph.outputs[0].name) as Tensor<"float32">;
  return { name, file: encodeKofn(contents).bytes, input, expected: result.array() };
}

/** Gives a fully convolutional network images of another size. */
function resize({ graph }: Model, side: number): void {
  const [input] = graph.inputs;
  const [batch, channels] = input.type?.shape ?? [];
  graph.inputs[0] = { ...input, type: { dtype: "float32", shape: [batch, channels, side, side] } };
  graph.valueTypes.clear();
}

/** A network with random masks, and biases and statistics of batch normalisation that are not the initial ones. */
export function prunedBy(model: Model, spec: PruneSpec): KofnContents {
  const random = new Random(1, "masks");
  for (const [name, { dims }] of model.graph.initializers) {
    const fill = (value: () => number): void => {
      const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, value);
      model.graph.initializers.set(name, tensor("float32", dims, values));
    };
    if (name.endsWith("running_mean") || name.endsWith(".bias")) fill(() => random.uniform() - 0.5);
    if (name.endsWith("running_var")) fill(() => 0.5 + random.uniform());
  }
  const masks = planPrune(model.graph, spec).map((layer) =>
    maskOfLogits(
      layer,
      Float32Array.from({ length: layer.groups * layer.n }, () => random.uniform()),
    ),
  );
  const members = masks.flatMap(masksOfWeights);
  return prunedContents(
    {
      model: maskedModel(model, new Map(), masks),
      masks: weightMasksOf(masks),
      layers: members.map(({ layer }) => layer),
      quantization: { weights: [], activations: [] },
    },
    { kofn: "0.1.0", data: "glyphs", seed: 3, config: NO_CONFIG, accuracy: 0.5 },
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
  );
}

/** By how much results differ at most, as a part of the largest expected value, or of 1 if that is less. */
export function largestError(results: Float32Array, expected: Float32Array): number {
  if (results.length !== expected.length) return Infinity;
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let error = 0;
  for (let i = 0; i < results.length; i++) {
    const one = Math.abs(results[i] - expected[i]);
    error = one <= error ? error : Number.isNaN(one) ? Infinity : one;
  }
  return error / scale;
}

/** Results have to be this close. */
export const TOLERANCE = 1e-4;
