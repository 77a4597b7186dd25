/** What the parts of the codec share: undecoded fields, optional text, entries, names of domains. */

import { DATA_TYPES } from "../dtype.js";
import type { Reader, Writer } from "../protobuf.js";
import { STRING_ENTRY } from "../schema.js";

/** The largest code of an element type. */
export const LAST_CODE = Math.max(...Object.values(DATA_TYPES).map((info) => info.code));

/** A key and its value: StringStringEntryProto. */
export function decodeEntry(reader: Reader): [key: string, value: string] {
  let key = "";
  let value = "";
  while (reader.next()) {
    if (reader.field === STRING_ENTRY.key) key = reader.text();
    else if (reader.field === STRING_ENTRY.value) value = reader.text();
  }
  return [key, value];
}

export function unknownOf(reader: Reader): { unknown?: Uint8Array } {
  const unknown = reader.kept();
  return unknown === undefined ? {} : { unknown };
}

/** "ai.onnx" is another name of the standard domain. */
export function normalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

export function writeText(writer: Writer, field: number, value: string): void {
  if (value !== "") writer.text(field, value);
}

export function writeUnknown(writer: Writer, message: { readonly unknown?: Uint8Array }): void {
  if (message.unknown !== undefined) writer.raw(message.unknown);
}
