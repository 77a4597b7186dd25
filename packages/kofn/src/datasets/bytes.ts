/** Reads a data file from front to back, inflating it on the way where it is gzipped, and never more than is asked for. */

import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { InputError, messageOf } from "../errors.js";

const CHUNK = 1 << 18;

/** Deflate can't make more than 1032 bytes of one. */
const MAX_INFLATION = 1032;

/** A file that is read in order. Close it when done, or it stays open. */
export class ByteReader {
  readonly path: string;
  /** Whether the file is gzipped, by its first bytes. */
  readonly gzipped: boolean;
  /** Bytes of the file as it lies on disk. */
  readonly fileSize: number;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #destroy: () => void;
  readonly #remedy: string;
  #rest: Uint8Array = new Uint8Array(0);

  private constructor(path: string, gzipped: boolean, fileSize: number, remedy: string) {
    this.path = path;
    this.gzipped = gzipped;
    this.fileSize = fileSize;
    this.#remedy = remedy;
    const file = createReadStream(path, { highWaterMark: CHUNK });
    if (gzipped) {
      const inflated = createGunzip({ chunkSize: CHUNK });
      file.on("error", (error) => inflated.destroy(error));
      file.pipe(inflated);
      this.#chunks = inflated[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      this.#destroy = () => {
        file.destroy();
        inflated.destroy();
      };
    } else {
      this.#chunks = file[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      this.#destroy = () => file.destroy();
    }
  }

  /**
   * @param remedy a sentence for error messages: how to get a sound file.
   * @throws InputError if the file can't be read.
   */
  static async open(path: string, remedy: string): Promise<ByteReader> {
    try {
      const { size } = await stat(path);
      const handle = await open(path, "r");
      const start = new Uint8Array(2);
      try {
        await handle.read(start, 0, 2, 0);
      } finally {
        await handle.close();
      }
      return new ByteReader(path, start[0] === 0x1f && start[1] === 0x8b, size, remedy);
    } catch (error) {
      throw new InputError(`${path}: expected a readable file, found none (${messageOf(error)}). ${remedy}`, {
        cause: error,
      });
    }
  }

  /** The most bytes that this file can hold, inflated. */
  get capacity(): number {
    return this.gzipped ? this.fileSize * MAX_INFLATION : this.fileSize;
  }

  /**
   * Fills `target` with the next bytes and returns how many there were: fewer than asked for only at the file's end.
   *
   * @throws InputError if the gzip stream is damaged or ends too early.
   */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      if (this.#rest.length === 0 && !(await this.#advance())) break;
      const taken = this.#rest.subarray(0, target.length - filled);
      target.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
    return filled;
  }

  /** Passes over the next bytes and returns how many there were. */
  async skip(count: number): Promise<number> {
    let skipped = 0;
    while (skipped < count) {
      if (this.#rest.length === 0 && !(await this.#advance())) break;
      const taken = Math.min(this.#rest.length, count - skipped);
      skipped += taken;
      this.#rest = this.#rest.subarray(taken);
    }
    return skipped;
  }

  close(): void {
    this.#destroy();
  }

  async #advance(): Promise<boolean> {
    try {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = next.value;
      return true;
    } catch (error) {
      const early = error instanceof Error && "code" in error && error.code === "Z_BUF_ERROR";
      const what = !this.gzipped
        ? `reading failed (${messageOf(error)})`
        : early
          ? "expected a complete gzip file, but it ends in the middle: it was cut off"
          : `expected a sound gzip file, but it is damaged (${messageOf(error)})`;
      throw new InputError(`${this.path}: ${what}. ${this.#remedy}`, { cause: error });
    }
  }
}
