/** Networks with random masks and codes, ready to be packed: what they take does not depend on training. */

import {
  Builder,
  emptyGraph,
  intAttribute,
  intsAttribute,
  modelOf,
  planPrune,
  prunableLayers,
  tensor,
} from "kofn";
import { internals } from "./internals.js";

/** @typedef {import("kofn").Model} Model */
/** @typedef {import("kofn").PruneSpec} PruneSpec */
/** @typedef {import("kofn").WeightFormat} WeightFormat */

const { prunedContents } = await internals.prunedContents();
const { NO_CONFIG } = await internals.infoSection();
const { maskedModel, maskOfLogits, masksOfWeights, weightMasksOf } = await internals.masks();
const { channelView, codesOf, dequantized, initialScales } = await internals.quantizedWeights();
const { Random } = await internals.random();

const LABELS = Array.from({ length: 10 }, (_, digit) => String(digit));

/**
 * One matrix product of rows outputs and columns inputs, with normally distributed weights.
 *
 * @param {number} rows
 * @param {number} columns
 * @returns {Model}
 */
export function matrixModel(rows, columns) {
  const random = new Random(1, "bench");
  const b = new Builder(emptyGraph("matrix"));
  const type = /** @type {const} */ ({ dtype: "float32", shape: ["batch", columns] });
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const values = Float32Array.from({ length: rows * columns }, () => random.normal() / 32);
  const weight = b.initializer("fc.weight", tensor("float32", [rows, columns], values));
  const bias = b.initializer("fc.bias", tensor("float32", [rows], new Float32Array(rows)));
  b.output(b.op("Gemm", ["input", weight, bias], { transB: intAttribute(1) }, "fc"));
  return modelOf(b.graph);
}

/**
 * One 3x3 convolution with as many maps as it reads, all cells of which it keeps, with normally distributed weights.
 *
 * @param {number} maps
 * @param {number} side height and width
 * @returns {Model}
 */
export function convolutionModel(maps, side) {
  const random = new Random(1, "bench");
  const b = new Builder(emptyGraph("convolution"));
  const type = /** @type {const} */ ({ dtype: "float32", shape: ["batch", maps, side, side] });
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const scale = 1 / (3 * Math.sqrt(maps));
  const values = Float32Array.from({ length: maps * maps * 9 }, () => scale * random.normal());
  const weight = b.initializer("conv.weight", tensor("float32", [maps, maps, 3, 3], values));
  const bias = b.initializer("conv.bias", tensor("float32", [maps], new Float32Array(maps)));
  const attributes = { kernel_shape: intsAttribute([3, 3]), pads: intsAttribute([1, 1, 1, 1]) };
  b.output(b.op("Conv", ["input", weight, bias], attributes, "conv"));
  return modelOf(b.graph);
}

/**
 * @param {Model} dense
 * @param {PruneSpec} prune
 * @param {WeightFormat | "float32"} format of all weights
 * @returns {import("kofn").KofnContents}
 */
export function packedNetwork(dense, prune, format) {
  const random = new Random(2, "bench");
  const layers = planPrune(dense.graph, prune);
  const masks = layers.map((layer) =>
    maskOfLogits(
      layer,
      Float32Array.from({ length: layer.groups * layer.n }, () => random.uniform()),
    ),
  );
  const members = masks.flatMap(masksOfWeights);
  const wholeMasks = weightMasksOf(masks);
  /** @type {Map<string, Float32Array>} */
  const values = new Map();
  const weights =
    format === "float32"
      ? []
      : prunableLayers(dense.graph).map((layer) => {
          const stored = /** @type {import("kofn").Tensor<"float32">} */ (
            dense.graph.initializers.get(layer.weight)
          );
          const view = channelView(layer);
          const mask = wholeMasks.get(layer.weight)?.array();
          const scale = initialScales(stored.array(), format, view, (i) => mask?.[i] !== 0);
          const codes = codesOf(stored.array(), scale, format, view, mask);
          values.set(layer.weight, dequantized(codes, scale, view));
          const axis = layer.transposed ? 1 : 0;
          return { layer: layer.name, weight: layer.weight, format, axis, scale, codes };
        });
  const model = maskedModel(dense, values, masks);
  return prunedContents(
    {
      model,
      masks: wholeMasks,
      layers: members.map(({ layer }) => layer),
      quantization: { weights, activations: [] },
    },
    { kofn: "0.1.0", data: "mnist", seed: 1, config: NO_CONFIG, accuracy: 0.98 },
    LABELS,
  );
}
