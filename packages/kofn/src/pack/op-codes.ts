/** The numbers of operators and attributes in a .kofn file, from 1 on. */

import { ATTRIBUTES, OPERATORS } from "@kofn/format/file/operators.js";
import type { OnnxOp } from "../onnx/ops.js";

function numbered<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, i) => [name, i + 1])) as Record<Name, number>;
}

/** tsc names here an operator that kofn knows and @kofn/format does not number. */
export const OP_CODES: Readonly<Record<OnnxOp, number>> = numbered(OPERATORS);

export const ATTRIBUTE_CODES: ReadonlyMap<string, number> = new Map(Object.entries(numbered(ATTRIBUTES)));

/** The operator with a number, if there is one; tsc names here one that kofn does not know. */
export function opOf(code: number): OnnxOp | undefined {
  return OPERATORS.at(code - 1);
}

/** The attribute with a number, if there is one. */
export function attributeOf(code: number): string | undefined {
  return ATTRIBUTES.at(code - 1);
}
