/** Reads `--config` files: YAML or JSON, whose keys are the long options of `kofn train`. */

import { readFile, stat } from "node:fs/promises";
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import { InputError, messageOf } from "../errors.js";
import { checkConfig, type Config } from "../options/config.js";
import { OPTIONS } from "../options/table.js";
import { suggestion } from "./suggest.js";

const MAX_BYTES = 1_000_000;

/**
 * Reads a config file.
 *
 * @throws InputError with file:line:column if it can't be read, is no YAML, or has unknown keys or wrong values.
 */
export async function readConfigFile(path: string): Promise<Config> {
  const text = await readText(path);
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  let document: Document.Parsed;
  let values: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const error = document.errors.at(0);
    if (error?.code === "RESOURCE_EXHAUSTION")
      throw new InputError(`config file "${path}": nested too deeply.`);
    if (error !== undefined) throw new InputError(`${at(error.pos[0])}: ${error.message}.`);
    values = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`config file "${path}": can't be read as YAML or JSON: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  if (!isMap(document.contents)) {
    throw new InputError(`config file "${path}": expected keys with values, such as "epochs: 20".`);
  }
  const checked = checkConfig(values);
  if ("config" in checked) return checked.config;
  const { path: keys, message, unknownKey } = checked.problem;
  if (unknownKey === true) {
    throw new InputError(`${at(offsetOfKey(document, keys))}: ${message}.${knownKeys(keys)}`);
  }
  throw new InputError(`${at(offsetOfValue(document, keys))}: ${keys.map(String).join(".")}: ${message}.`);
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      throw new InputError(`config file "${path}": ${size} bytes are too many; the limit is ${MAX_BYTES}.`);
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`config file "${path}": can't read it: ${messageOf(error)}.`, { cause: error });
  }
}

function knownKeys(keys: readonly PropertyKey[]): string {
  if (keys.length > 1) return "";
  const known = [...OPTIONS.keys()];
  return `${suggestion(String(keys[0]), known)} Keys: ${known.join(", ")}.`;
}

/** Where the value at a path begins in the file. */
function offsetOfValue(document: Document.Parsed, keys: readonly PropertyKey[]): number {
  const node = document.getIn(keys, true);
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Where the key at the end of a path begins in the file. */
function offsetOfKey(document: Document.Parsed, keys: readonly PropertyKey[]): number {
  const parent = keys.length > 1 ? document.getIn(keys.slice(0, -1), true) : document.contents;
  if (!isMap(parent)) return 0;
  const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(keys.at(-1)));
  return isNode(pair?.key) ? (pair.key.range?.[0] ?? 0) : 0;
}
