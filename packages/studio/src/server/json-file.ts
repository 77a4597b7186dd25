/** Reads small JSON files of runs, of which nothing is taken for granted. */

import type { z } from "zod";
import { messageOf } from "./errors.js";
import { openInside } from "./inside.js";

/** No report and no config comes near this. */
const MOST_BYTES = 2 ** 24;

/**
 * The content of a JSON file.
 *
 * @throws Error whose message says what is wrong, or the system's error if it can't be read.
 */
export async function readJson<T>(root: string, path: string, schema: z.ZodType<T>): Promise<T> {
  const file = await openInside(root, path);
  let text: string;
  try {
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new Error(`it has ${size} bytes, where at most ${MOST_BYTES} are read`);
    text = await file.readFile("utf8");
  } finally {
    await file.close();
  }
  return parseJson(text, schema);
}

/** @throws Error whose message says what is wrong. */
export function parseJson<T>(text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new Error(path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`);
}
