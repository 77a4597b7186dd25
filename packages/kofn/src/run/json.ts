/** Reads the files of a run directory, and says where they are damaged. */

import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { InputError, messageOf } from "../errors.js";

export async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the file: ${messageOf(error)}.`, { cause: error });
  }
}

export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${where}: expected JSON, but it is damaged: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

export function checked<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`${where}: ${pathPrefix(issue.path)}${issue.message}.`);
}

export function pathPrefix(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : `${path.map(String).join(".")}: `;
}
