/** What quantization makes of a single value of an activation. */

import type { QuantizedActivation } from "../quantize/types.js";
import { roundHalfToEven } from "../quantize/weights.js";

/**
 * The quantized value that is nearest, as QuantizeLinear and DequantizeLinear find it. NaN stays.
 *
 * @example
 * quantizedValue({ tensor: "relu1", layer: "fc2", format: "uint8", scale: 0.5, zeroPoint: 0 }, 0.7); // 0.5
 */
export function quantizedValue({ format, scale, zeroPoint }: QuantizedActivation, value: number): number {
  if (format === "binary") {
    if (Number.isNaN(value)) return value;
    return scale * ((value >= Math.fround(scale * (0.5 - zeroPoint)) ? 1 : 0) - zeroPoint);
  }
  const single = Math.fround(scale);
  const [low, high] = format === "uint8" ? [0, 255] : [-128, 127];
  const code = roundHalfToEven(Math.fround(value / single)) + zeroPoint;
  return single * (Math.max(low, Math.min(high, code)) - zeroPoint);
}
