/** What codes of activations mean, and how integers are brought from one scale to another. */

import type { QuantizedActivation } from "../quantize/types.js";

/** Codes from `low` to `high`, of which each stands for scale * (code - zero). */
export interface Codes {
  readonly type: "uint8" | "int8";
  /** A float32 number. */
  readonly scale: number;
  readonly zero: number;
  readonly low: number;
  readonly high: number;
  /** Of two codes: the higher one is for values from here on. */
  readonly threshold?: number;
}

/** The higher code of binary activations: not 1, so that biases, which are in units of codes, keep their precision. */
const BINARY_HIGH = 127;

/**
 * The codes of a quantized activation. Binary ones are 0 and 127, or where they may be negative -127 and 127.
 *
 * @example
 * codesOf({ tensor: "relu1", layer: "fc2", format: "uint8", scale: 0.5, zeroPoint: 0 });
 * // { type: "uint8", scale: 0.5, zero: 0, low: 0, high: 255 }
 */
export function codesOf({ format, scale, zeroPoint }: QuantizedActivation): Codes {
  const single = Math.fround(scale);
  if (format === "uint8") return { type: "uint8", scale: single, zero: zeroPoint, low: 0, high: 255 };
  if (format === "int8") return { type: "int8", scale: single, zero: zeroPoint, low: -128, high: 127 };
  const threshold = Math.fround(scale * (0.5 - zeroPoint));
  return zeroPoint === 0
    ? {
        type: "uint8",
        scale: Math.fround(scale / BINARY_HIGH),
        zero: 0,
        low: 0,
        high: BINARY_HIGH,
        threshold,
      }
    : {
        type: "int8",
        scale: Math.fround(scale / 2 / BINARY_HIGH),
        zero: 0,
        low: -BINARY_HIGH,
        high: BINARY_HIGH,
        threshold,
      };
}

export function isSameCodes(a: Codes | undefined, b: Codes | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.type === b.type &&
    a.scale === b.scale &&
    a.zero === b.zero &&
    a.high === b.high &&
    a.threshold === b.threshold
  );
}

/** What sums are rescaled to: steps of codes; of binary ones that from 0 to the higher code. */
export function stepOf({ scale, high, threshold }: Codes): number {
  return threshold === undefined ? scale : scale * high;
}

/** Whether codes stand for a negative and a positive value alone. */
export function isSign({ threshold, low }: Codes): boolean {
  return threshold !== undefined && low < 0;
}

/** Beyond this many steps from zero all codes are at their ends. */
const FAR = 1024;

/**
 * The code of a value: value / scale in float32, rounded to the nearest whole number, ties to even (as ONNX's QuantizeLinear
 * does), plus zero, clamped. NaN becomes the lowest code.
 */
export function quantized(value: number, codes: Codes): number {
  const { scale, zero, low, high, threshold } = codes;
  if (threshold !== undefined) return value >= threshold ? high : low;
  const steps = Math.fround(value / scale);
  if (!(steps > -FAR)) return low;
  if (steps >= FAR) return high;
  let code = Math.trunc(steps);
  const rest = steps - code;
  const isOdd = code % 2 !== 0;
  if (rest > 0.5 || (rest === 0.5 && isOdd)) code++;
  else if (rest < -0.5 || (rest === -0.5 && isOdd)) code--;
  return clamped(code + zero, low, high);
}

export function dequantized(code: number, { scale, zero }: Codes): number {
  return Math.fround((code - zero) * scale);
}

export function clamped(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** A factor as an integer over a power of two. */
export interface FixedPoint {
  readonly multiplier: number;
  readonly shift: number;
}

/** Multipliers of accumulated sums have at most 31 bits. */
const MULTIPLIER_BITS = 31;
const MOST_SHIFT = 62;

/**
 * The factor with 31 significant bits: multiplier / 2^shift, multiplier at most 2^31 - 1 and shift from 1 to 62. Factors of 2^30 and
 * more are taken for the largest that fits: a code is at its end then whatever it is multiplied by.
 *
 * @param factor above or equal 0.
 * @example
 * fixedPoint(0.75); // { multiplier: 1610612736, shift: 31 }
 */
export function fixedPoint(factor: number, bits = MULTIPLIER_BITS, mostShift = MOST_SHIFT): FixedPoint {
  let shift = mostShift;
  // Halving and doubling are exact.
  while (shift > 1 && Math.round(factor * 2 ** shift) >= 2 ** bits) shift--;
  return { multiplier: Math.min(2 ** bits - 1, Math.round(factor * 2 ** shift)), shift };
}

/**
 * floor((sum * multiplier + 2^(shift - 1)) / 2^shift): the sum times the factor, rounded to the nearest whole number, ties up.
 *
 * @param sum an int32.
 */
export function rescaled(sum: number, { multiplier, shift }: FixedPoint): number {
  const product = BigInt(sum) * BigInt(multiplier) + (1n << BigInt(shift - 1));
  return Number(product >> BigInt(shift));
}

/** The code of a sum times a factor, which brings it to steps of the codes ({@link stepOf}). */
export function codeOf(sum: number, factor: FixedPoint, codes: Codes): number {
  const { low, high, zero, threshold } = codes;
  if (isSign(codes)) return sum < 0 ? low : high;
  if (threshold !== undefined) return rescaled(sum, factor) > 0 ? high : low;
  return clamped(rescaled(sum, factor) + zero, low, high);
}

/** Multipliers of summands have at most 20 bits, so that two codes times such numbers, and half of the divisor, fit into an int32. */
const SUMMAND_BITS = 20;
const MOST_SUMMAND_SHIFT = 29;

/**
 * Factors of summands as integers over one power of two.
 *
 * @param factors above 0.
 */
export function sharedFixedPoint(factors: readonly number[]): {
  readonly multipliers: readonly number[];
  readonly shift: number;
} {
  const { shift } = fixedPoint(Math.max(...factors), SUMMAND_BITS, MOST_SUMMAND_SHIFT);
  const most = 2 ** SUMMAND_BITS - 1;
  return { multipliers: factors.map((factor) => Math.min(most, Math.round(factor * 2 ** shift))), shift };
}
