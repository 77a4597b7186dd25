/** Checks that a quantization belongs to a model. */

import { InputError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { prunableLayers } from "../layers/layers.js";
import type { Quantization, QuantizedActivation, QuantizedWeight } from "../quantize/types.js";
import { largestCode } from "../quantize/weights.js";

/** The codes that activations may have, by format. */
const ACTIVATION_CODES = { uint8: [0, 255], int8: [-128, 127], binary: [0, 0.5] } as const;

/**
 * @throws InputError naming the first weight or activation that is not one of the model's, or does not fit it.
 */
export function checkQuantization(model: Model, { weights, activations }: Quantization): void {
  const layers = new Map(prunableLayers(model.graph).map((layer) => [layer.weight, layer]));
  for (const weight of weights) {
    const layer = layers.get(weight.weight);
    const problem =
      layer === undefined
        ? "the model has no layer with this weight"
        : problemOf(weight, layer.dims, layer.transposed ? 1 : 0);
    if (problem !== undefined) throw unfit(model, `weight "${weight.weight}"`, problem);
  }
  const values = new Set(model.graph.nodes.flatMap(({ outputs }) => outputs));
  for (const { name } of model.graph.inputs) values.add(name);
  for (const activation of activations) {
    const problem = values.has(activation.tensor)
      ? problemOfActivation(activation)
      : "the model has no value of this name";
    if (problem !== undefined) throw unfit(model, `activation "${activation.tensor}"`, problem);
  }
}

function unfit(model: Model, what: string, problem: string): InputError {
  return new InputError(
    `model "${model.graph.name}", quantized ${what}: ${problem}. The quantization is of another model, or damaged.`,
  );
}

function problemOf(
  { format, axis, scale, codes }: QuantizedWeight,
  dims: readonly number[],
  expectedAxis: number,
): string | undefined {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (codes.length !== size) return `expected ${size} codes, found ${codes.length}`;
  if (axis !== expectedAxis) return `expected output channels on axis ${expectedAxis}, found ${axis}`;
  if (scale.length !== dims[axis]) return `expected ${dims[axis]} scales, found ${scale.length}`;
  const bad = scale.find((value) => !Number.isFinite(value) || value < 0);
  if (bad !== undefined) return `expected finite scales of at least 0, found ${bad}`;
  const most = largestCode(format);
  const beyond = codes.find((code) => Math.abs(code) > most);
  return beyond === undefined ? undefined : `expected codes from -${most} to ${most}, found ${beyond}`;
}

function problemOfActivation({ format, scale, zeroPoint }: QuantizedActivation): string | undefined {
  if (!Number.isFinite(scale) || scale <= 0) return `expected a finite scale above 0, found ${scale}`;
  const [lowest, highest] = ACTIVATION_CODES[format];
  return zeroPoint >= lowest && zeroPoint <= highest
    ? undefined
    : `expected a zero point from ${lowest} to ${highest}, found ${zeroPoint}`;
}
