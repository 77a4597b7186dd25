/** Which operators have a number in a .kofn file. */

import { ATTRIBUTES, OPERATORS } from "@kofn/format/file/operators.js";
import { expect, test } from "vitest";
import { ONNX_OPS } from "../../src/onnx/ops.js";
import { ATTRIBUTE_CODES, attributeOf, OP_CODES, opOf } from "../../src/pack/op-codes.js";

test("all that kofn knows, and no other; numbers and names lead to each other", () => {
  expect([...OPERATORS].sort()).toEqual([...ONNX_OPS].sort());
  for (const op of ONNX_OPS) expect(opOf(OP_CODES[op])).toBe(op);
  for (const name of ATTRIBUTES) expect(attributeOf(ATTRIBUTE_CODES.get(name) ?? 0)).toBe(name);
  expect(ONNX_OPS.map((op) => OP_CODES[op]).sort((a, b) => a - b)).toEqual(ONNX_OPS.map((_, i) => i + 1));
  expect(opOf(OPERATORS.length + 1)).toBeUndefined();
  expect(attributeOf(ATTRIBUTES.length + 1)).toBeUndefined();
});
