/** Makes small data files for the tests. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A new folder that is removed after the file's tests. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "kofn-test-"));
  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** An IDX file: magic number, dimensions, bytes. */
export function idxBytes(dims: readonly number[], data: ArrayLike<number>, type = 0x08): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * dims.length + data.length);
  bytes[2] = type;
  bytes[3] = dims.length;
  dims.forEach((dim, i) => {
    new DataView(bytes.buffer).setUint32(4 + 4 * i, dim);
  });
  bytes.set(data, 4 + 4 * dims.length);
  return bytes;
}

/** A ustar archive. */
export function tarBytes(members: readonly (readonly [name: string, data: Uint8Array])[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, data] of members) {
    const header = new Uint8Array(512);
    const put = (at: number, text: string): void => {
      header.set(new TextEncoder().encode(text), at);
    };
    put(0, name);
    put(100, "0000644\0");
    put(124, `${data.length.toString(8).padStart(11, "0")}\0`);
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0" + "00");
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
    const padded = new Uint8Array(Math.ceil(data.length / 512) * 512);
    padded.set(data);
    blocks.push(header, padded);
  }
  blocks.push(new Uint8Array(1024));
  return Buffer.concat(blocks);
}

/** The message of the error that a promise is rejected with; fails if it is not. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("expected a rejection");
}
