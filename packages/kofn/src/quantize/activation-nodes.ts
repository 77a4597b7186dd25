/** Adds the nodes that quantize an activation. */

import { tensorFrom } from "../onnx/tensor.js";
import type { Assembly } from "./assembly.js";
import type { QuantizedActivation } from "./types.js";

/**
 * Adds what brings a value to its quantized values and back to float32: QuantizeLinear and DequantizeLinear, or for binary
 * activations the nearest of their two values.
 *
 * @returns the name of the quantized value, float32.
 */
export function addActivation(
  assembly: Assembly,
  value: string,
  { format, scale, zeroPoint }: QuantizedActivation,
): string {
  const scalar = (name: string, number: number): string =>
    assembly.constant(`${value}/${name}`, tensorFrom("float32", [], [number]));
  if (format === "binary") {
    const isPositive = assembly.add(
      "GreaterOrEqual",
      [value, scalar("threshold", scale * (0.5 - zeroPoint))],
      {},
      `${value}/is_positive`,
    );
    const [high, low] = [scalar("high", scale * (1 - zeroPoint)), scalar("low", -scale * zeroPoint)];
    return assembly.add("Where", [isPositive, high, low], {}, `${value}/binary`);
  }
  const parameters = [
    scalar("scale", scale),
    assembly.constant(`${value}/zero_point`, tensorFrom(format, [], [zeroPoint])),
  ];
  const codes = assembly.add("QuantizeLinear", [value, ...parameters], {}, `${value}/quantized`);
  return assembly.add("DequantizeLinear", [codes, ...parameters], {}, `${value}/dequantized`);
}
