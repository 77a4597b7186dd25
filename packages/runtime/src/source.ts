/** Gets the bytes of a file from where the caller says it is. */

import { NetworkError } from "./errors.js";

/** An address, a path (in Node), or the bytes themselves. */
export type Source = string | URL | ArrayBuffer | Uint8Array;

/** The name of a source in messages. */
export function nameOf(source: Source): string {
  return typeof source === "string" ? source : source instanceof URL ? source.href : "the network";
}

/** @throws NetworkError if there is nothing to read. */
export async function bytesOf(source: Source): Promise<Uint8Array> {
  const bytes = await anyBytesOf(source);
  // Not a Buffer of Node, whose slices share its memory.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function anyBytesOf(source: Source): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  const name = nameOf(source);
  // No import, so that bundlers for browsers need not know what "node:fs" is.
  const files = typeof process === "object" ? process.getBuiltinModule("node:fs/promises") : undefined;
  try {
    const isWeb = /^(https?|data|blob):/.test(name);
    if (files !== undefined && !isWeb)
      return await files.readFile(name.startsWith("file:") ? new URL(name) : name);
    const response = await fetch(source);
    if (!response.ok) throw new Error(`the server answers ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new NetworkError(
      `${name}: can't be read: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
