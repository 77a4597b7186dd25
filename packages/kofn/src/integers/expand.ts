/**
 * Stores the codes of a weight in few bits, with nodes that expand them. onnxruntime computes these nodes once, when it
 * loads the model, as they depend on constants alone.
 */

import { DATA_TYPES } from "../onnx/dtype.js";
import { int, string } from "../onnx/model.js";
import { Tensor, tensor, tensorFrom } from "../onnx/tensor.js";
import type { Assembly } from "../onnx/assembly.js";
import { bitPlanes, bitsFor, nibbles, offsetOf } from "./bit-planes.js";

/**
 * Adds a weight's codes, stored in as few bits as they need: 8 and 4 bits as int8 and int4 tensors, others as planes of bits.
 *
 * @param dims of the weight.
 * @returns the name of the codes as int8 or float32, in the weight's shape.
 */
export function addCodes(
  assembly: Assembly,
  weight: string,
  dims: readonly number[],
  codes: Int8Array,
  to: "int8" | "float32",
): string {
  const bits = bitsFor(codes);
  const name = to === "int8" ? `${weight}/int8` : `${weight}/codes`;
  const cast = (value: string, dtype: "int8" | "float32", result: string): string =>
    assembly.add("Cast", [value], { to: int(DATA_TYPES[dtype].code) }, result);
  if (bits === 8 && to === "int8") return assembly.constant(name, tensor("int8", dims, codes));
  if (bits === 8 || bits === 4) {
    const stored = bits === 8 ? tensor("int8", dims, codes) : new Tensor("int4", dims, nibbles(codes));
    return cast(assembly.constant(`${weight}/stored`, stored), to, name);
  }
  const digits = cast(addDigits(assembly, weight, dims, codes, bits), "float32", `${weight}/digits`);
  const values = addOffset(assembly, weight, digits, bits);
  return to === "float32" ? values : cast(values, to, name);
}

/**
 * Adds planes of bits and the nodes that make the stored numbers of them (codes and an offset): uint8, in the weight's shape.
 *
 * @param bits 1 for codes of -1 and 1, which give 0 and 1.
 */
export function addDigits(
  assembly: Assembly,
  weight: string,
  dims: readonly number[],
  codes: Int8Array,
  bits: number,
): string {
  const bytes = Math.ceil(codes.length / 8);
  const small = (name: string, values: readonly number[], shape: readonly number[]): string =>
    assembly.shared(`${weight}/${name}`, tensorFrom("uint8", shape, values));
  const vector = (name: string, values: readonly number[]): string =>
    assembly.shared(`${weight}/${name}`, tensorFrom("int64", [values.length], values));
  const planes = assembly.constant(
    `${weight}/stored`,
    tensor("uint8", [bits, bytes, 1], bitPlanes(codes, bits)),
  );
  const shifted = assembly.add(
    "BitShift",
    [planes, small("places", [0, 1, 2, 3, 4, 5, 6, 7], [8])],
    { direction: string("RIGHT") },
    `${weight}/shifted`,
  );
  let numbers = assembly.add("BitwiseAnd", [shifted, small("one", [1], [])], {}, `${weight}/bits`);
  if (bits > 1) {
    const digits = Array.from({ length: bits }, (_, digit) => digit);
    const valued = assembly.add(
      "BitShift",
      [numbers, small("digits", digits, [bits, 1, 1])],
      { direction: string("LEFT") },
      `${weight}/valued`,
    );
    numbers = addUnion(assembly, weight, valued, bits);
  }
  const flat = assembly.add("Reshape", [numbers, vector("flat", [-1])], {}, `${weight}/numbers`);
  const whole =
    codes.length === bytes * 8
      ? flat
      : assembly.add(
          "Slice",
          [flat, vector("start", [0]), vector("end", [codes.length])],
          {},
          `${weight}/whole`,
        );
  return assembly.add("Reshape", [whole, vector("dims", dims)], {}, `${weight}/shaped`);
}

/** Or over the first dimension. */
function addUnion(assembly: Assembly, weight: string, valued: string, bits: number): string {
  const names = Array.from({ length: bits }, (_, digit) => `${weight}/digit${digit}`);
  const parts = assembly.addAll("Split", [valued], { axis: int(0), num_outputs: int(bits) }, names);
  return parts.reduce((union, part) => assembly.add("BitwiseOr", [union, part], {}, `${weight}/union`));
}

function addOffset(assembly: Assembly, weight: string, digits: string, bits: number): string {
  const scalar = (name: string, value: number): string =>
    assembly.shared(`${weight}/${name}`, tensorFrom("float32", [], [value]));
  if (bits > 1) return assembly.add("Sub", [digits, scalar("offset", offsetOf(bits))], {}, `${weight}/codes`);
  const doubled = assembly.add("Mul", [digits, scalar("two", 2)], {}, `${weight}/doubled`);
  return assembly.add("Sub", [doubled, scalar("offset", 1)], {}, `${weight}/codes`);
}
