/** Pruned and quantized networks of many shapes, for tests of packed files. */

import { WEIGHT_FORMATS, type WeightFormat } from "@kofn/format/run/words.js";
import fc from "fast-check";
import { prunableLayers } from "../../src/layers/layers.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, int, ints, type Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { prunedContents } from "../../src/pack/contents.js";
import { NO_CONFIG, type Provenance } from "../../src/pack/info-section.js";
import type { KofnContents } from "../../src/pack/types.js";
import { maskedModel, maskOfLogits, masksOfWeights, weightMasksOf } from "../../src/prune/mask.js";
import { planPrune } from "../../src/prune/plan.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import type { PruneRule } from "../../src/prune/types.js";
import type { QuantizedWeight } from "../../src/quantize/types.js";
import { channelView, dequantized, largestCode } from "../../src/quantize/weights.js";
import { Random } from "../../src/random.js";
import { modelOf } from "../support/execute.js";

/** What a network is made of. */
export interface Recipe {
  readonly seed: number;
  readonly maps: number;
  readonly hidden: number;
  readonly conv: PruneRule | "none";
  readonly fc1: PruneRule | "none";
  readonly fc2: PruneRule | "none";
  readonly format: WeightFormat | "float32";
}

const share = fc.double({ min: 0.05, max: 1, noNaN: true });
const ofWeights = fc.oneof(
  share.map((keep) => weights({ keep })),
  share.map((keep) => weights({ keep, share: 2 })),
  fc.constant("none" as const),
);

/** All that can be pruned and quantized in all ways. */
export const recipes: fc.Arbitrary<Recipe> = fc.record({
  seed: fc.nat(1e6),
  maps: fc.integer({ min: 1, max: 3 }).map((half) => 2 * half),
  hidden: fc.integer({ min: 1, max: 9 }).map((half) => 2 * half),
  conv: fc.oneof(
    ofWeights,
    share.map((keep) => kernels({ keep })),
    share.map((keep) => weights({ keep, per: "kernel" })),
    share.map((keep) => maps({ keep })),
    share.map((keep) => kernels({ keep, share: 2 })),
  ),
  fc1: fc.oneof(
    ofWeights,
    share.map((keep) => maps({ keep })),
  ),
  fc2: fc.oneof(ofWeights, fc.constant(weights({ tile: [1, 2] }))),
  format: fc.constantFrom(...WEIGHT_FORMATS, "float32" as const),
});

/** Input [batch, 2, 5, 5]: conv 3x3, ReLU, fc1 (Gemm), ReLU, fc2 (MatMul and Add). */
export function network({ seed, maps: channels, hidden }: Recipe): Model {
  const random = new Random(seed, "pack tests");
  const b = new Builder(emptyGraph("packed"));
  const parameter = (name: string, ...dims: number[]): string => {
    const values = Array.from({ length: sizeOf(dims) }, () => 2 * random.uniform() - 1);
    return b.initializer(name, tensorFrom("float32", dims, values));
  };
  const type = { dtype: "float32", shape: ["batch", 2, 5, 5] } as const;
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const conv = b.op(
    "Conv",
    ["input", parameter("conv.weight", channels, 2, 3, 3), parameter("conv.bias", channels)],
    { kernel_shape: ints([3, 3]) },
    "conv",
  );
  const flat = b.op("Flatten", [b.op("Relu", [conv], {}, "relu1")], {}, "flat");
  const fc1 = b.op(
    "Gemm",
    [flat, parameter("fc1.weight", hidden, 9 * channels), parameter("fc1.bias", hidden)],
    { transB: int(1) },
    "fc1",
  );
  const relu = b.op("Relu", [fc1], {}, "relu2");
  const product = b.op("MatMul", [relu, parameter("fc2.weight", hidden, 4)], {}, "fc2");
  b.output(b.op("Add", [product, parameter("fc2.bias", 4)], {}, "logits"));
  const model = modelOf(b.graph);
  model.metadata.set("author", "nobody").set("kofn.input.mean", "[0.5,0.25]").set("kofn.input.std", "[1,2]");
  return model;
}

const PROVENANCE: Provenance = { kofn: "0.0.0", data: "tiny", seed: 7, config: NO_CONFIG, accuracy: 0.125 };

/** A run of the recipe, without training: random masks, and codes of random weights. */
export function contentsOf(
  recipe: Recipe,
): KofnContents & { readonly wholeMasks: ReadonlyMap<string, Tensor<"uint8">> } {
  const { seed, format, conv, fc1, fc2 } = recipe;
  const dense = network(recipe);
  const layers = planPrune(dense.graph, { conv, fc1, fc2 });
  const random = new Random(seed, "masks");
  const masks = layers.map((layer) =>
    maskOfLogits(
      layer,
      Float32Array.from({ length: layer.groups * layer.n }, () => random.uniform()),
    ),
  );
  const members = masks.flatMap(masksOfWeights);
  const wholeMasks = weightMasksOf(masks);
  const values = new Map<string, Float32Array>();
  const quantized = format === "float32" ? [] : quantizedWeights(dense, format, wholeMasks, values);
  const model = maskedModel(dense, values, masks);
  const quantization = { weights: quantized, activations: [] };
  const contents = prunedContents(
    { model, masks: wholeMasks, layers: members.map(({ layer }) => layer), quantization },
    PROVENANCE,
    ["a", "bé", "", "d"],
  );
  return { ...contents, wholeMasks };
}

/** Codes of the whole range of a format; `values` gets the weights that they stand for. */
function quantizedWeights(
  { graph }: Model,
  format: WeightFormat,
  masks: ReadonlyMap<string, Tensor<"uint8">>,
  values: Map<string, Float32Array>,
): QuantizedWeight[] {
  return prunableLayers(graph).map((layer) => {
    const { name, weight, dims, transposed } = layer;
    const most = largestCode(format);
    const mask = masks.get(weight)?.array();
    const axis = transposed ? 1 : 0;
    const floats = (graph.initializers.get(weight) as Tensor<"float32">).array();
    const codes = Int8Array.from(floats, (value, i) => {
      if (mask?.[i] === 0) return 0;
      return format === "binary" ? (value < 0 ? -1 : 1) : Math.round(value * most);
    });
    const scale = Float32Array.from({ length: dims[axis] }, (_, i) => (i + 1) / most / 8);
    values.set(weight, dequantized(codes, scale, channelView(layer)));
    return { layer: name, weight, format, axis, scale, codes };
  });
}
