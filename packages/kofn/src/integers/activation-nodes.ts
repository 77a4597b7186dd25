/** Adds the nodes that quantize an activation. */

import { DATA_TYPES } from "../onnx/dtype.js";
import { int } from "../onnx/model.js";
import { tensorFrom } from "../onnx/tensor.js";
import type { Assembly } from "../onnx/assembly.js";
import type { QuantizedActivation } from "../quantize/types.js";

/**
 * Adds what brings a value to its quantized values and back to float32: QuantizeLinear and DequantizeLinear, of which onnxruntime
 * makes integer kernels, or for binary activations the nearest of their two values.
 *
 * @returns the name of the quantized value, float32.
 */
export function addActivation(assembly: Assembly, value: string, activation: QuantizedActivation): string {
  const made = addCodes(assembly, value, activation);
  if (made === undefined) return addBinary(assembly, value, activation);
  const { codes, scale, zeroPoint } = made;
  return assembly.add("DequantizeLinear", [codes, scale, zeroPoint], {}, `${value}/dequantized`);
}

/**
 * {@link addActivation} for what multiplies floats: Cast, Sub and Mul in place of DequantizeLinear, which give the same numbers. Of a
 * Conv or Gemm between DequantizeLinear and QuantizeLinear onnxruntime takes it that integers are wanted, and rounds its weights to
 * int8 with one scale for them all.
 */
export function addFloatActivation(
  assembly: Assembly,
  value: string,
  activation: QuantizedActivation,
): string {
  const made = addCodes(assembly, value, activation);
  if (made === undefined) return addBinary(assembly, value, activation);
  const { codes, scale } = made;
  const cast = { to: int(DATA_TYPES.float32.code) };
  let steps = assembly.add("Cast", [codes], cast, `${value}/codes`);
  if (activation.zeroPoint !== 0) {
    const zero = assembly.constant(`${value}/zero`, tensorFrom("float32", [], [activation.zeroPoint]));
    steps = assembly.add("Sub", [steps, zero], {}, `${value}/steps`);
  }
  return assembly.add("Mul", [steps, scale], {}, `${value}/dequantized`);
}

/** Adds QuantizeLinear and returns the names of codes, scale and zero point; undefined for binary activations, which it has no codes for. */
function addCodes(
  assembly: Assembly,
  value: string,
  { format, scale, zeroPoint }: QuantizedActivation,
): { codes: string; scale: string; zeroPoint: string } | undefined {
  if (format === "binary") return undefined;
  const names = {
    scale: assembly.constant(`${value}/scale`, tensorFrom("float32", [], [scale])),
    zeroPoint: assembly.constant(`${value}/zero_point`, tensorFrom(format, [], [zeroPoint])),
  };
  const inputs = [value, names.scale, names.zeroPoint];
  return { codes: assembly.add("QuantizeLinear", inputs, {}, `${value}/quantized`), ...names };
}

function addBinary(assembly: Assembly, value: string, { scale, zeroPoint }: QuantizedActivation): string {
  const scalar = (name: string, number: number): string =>
    assembly.constant(`${value}/${name}`, tensorFrom("float32", [], [number]));
  const isPositive = assembly.add(
    "GreaterOrEqual",
    [value, scalar("threshold", scale * (0.5 - zeroPoint))],
    {},
    `${value}/is_positive`,
  );
  const [high, low] = [scalar("high", scale * (1 - zeroPoint)), scalar("low", -scale * zeroPoint)];
  return assembly.add("Where", [isPositive, high, low], {}, `${value}/binary`);
}
