/** Follows metrics.jsonl: reads what was appended, and begins anew where the file was replaced. */

import type { FileHandle } from "node:fs/promises";
import { RUN_FILES } from "@kofn/format/run/files.js";
import { messageOf } from "./errors.js";
import { History } from "./history.js";
import { openInside } from "./inside.js";
import { parseJson } from "./json-file.js";
import { LINE } from "./schemas.js";

const CHUNK = 2 ** 20;
/** A line of a run with thousands of layers has less. */
const MOST_LINE_BYTES = 2 ** 23;
const MOST_BYTES = 2 ** 28;
/** So much of what was read is compared before reading on: a resumed run writes its file anew, in place. */
const COMPARED = 256;
/** So many damaged lines are named. */
const MOST_NAMED = 3;

const NEWLINE = 0x0a;

/** What has been read of a metrics.jsonl so far. */
export class MetricsFile {
  readonly #root: string;
  readonly #path: string;
  history = new History();
  #inode = 0;
  #offset = 0;
  /** The bytes just before the offset. */
  #tail = Buffer.alloc(0);
  /** What follows the last newline. */
  #rest = Buffer.alloc(0);
  #lines = 0;
  #damaged: string[] = [];
  #damagedCount = 0;
  #problem: string | undefined;

  /** @param root the real path of the folder that is served. */
  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = path;
  }

  /** Whether the file ends within a line: it is being written, or was left so. */
  get cut(): boolean {
    return this.#rest.length > 0;
  }

  /** What is wrong with the file, for people. */
  get problems(): string[] {
    const more = this.#damagedCount - this.#damaged.length;
    return [
      ...(this.#problem === undefined ? [] : [`${RUN_FILES.metrics}: ${this.#problem}`]),
      ...this.#damaged,
      ...(more > 0 ? [`${RUN_FILES.metrics}: ${more} more damaged lines, left out`] : []),
    ];
  }

  /** Reads what is new. A file that is not there, or can't be read, is one without lines. */
  async refresh(): Promise<void> {
    let file: FileHandle;
    try {
      file = await openInside(this.#root, this.#path);
    } catch (error) {
      this.#reset();
      this.#problem = `can't be read: ${messageOf(error)}`;
      return;
    }
    try {
      const { ino, size } = await file.stat();
      if (ino !== this.#inode || size < this.#offset || !(await this.#goesOn(file))) this.#reset();
      this.#inode = ino;
      this.#problem = undefined;
      await this.#readTo(file, Math.min(size, MOST_BYTES));
      if (size > MOST_BYTES) this.#problem = `what is beyond ${MOST_BYTES} bytes is left out`;
    } catch (error) {
      this.#problem = `can't be read: ${messageOf(error)}`;
    } finally {
      await file.close();
    }
  }

  #reset(): void {
    this.history = new History();
    this.#offset = 0;
    this.#tail = Buffer.alloc(0);
    this.#rest = Buffer.alloc(0);
    this.#lines = 0;
    this.#damaged = [];
    this.#damagedCount = 0;
  }

  /** Whether what was read is still there. */
  async #goesOn(file: FileHandle): Promise<boolean> {
    const now = Buffer.alloc(this.#tail.length);
    const { bytesRead } = await file.read(now, 0, now.length, this.#offset - now.length);
    return bytesRead === now.length && now.equals(this.#tail);
  }

  async #readTo(file: FileHandle, end: number): Promise<void> {
    while (this.#offset < end) {
      const chunk = Buffer.alloc(Math.min(CHUNK, end - this.#offset));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, this.#offset);
      if (bytesRead === 0) return;
      const read = chunk.subarray(0, bytesRead);
      this.#offset += bytesRead;
      this.#tail = Buffer.from(Buffer.concat([this.#tail, read]).subarray(-COMPARED));
      this.#take(read);
    }
  }

  #take(read: Buffer): void {
    let from = 0;
    for (let to = read.indexOf(NEWLINE); to !== -1; to = read.indexOf(NEWLINE, from)) {
      this.#line(Buffer.concat([this.#rest, read.subarray(from, to)]).toString("utf8"));
      this.#rest = Buffer.alloc(0);
      from = to + 1;
    }
    // What is too long for a line is cut here, and found damaged where it ends.
    this.#rest = Buffer.concat([this.#rest, read.subarray(from)]).subarray(0, MOST_LINE_BYTES);
  }

  #line(line: string): void {
    this.#lines++;
    if (line.trim() === "") return;
    try {
      this.history.add(parseJson(line, LINE));
    } catch (error) {
      this.#damagedCount++;
      if (this.#damaged.length < MOST_NAMED) {
        this.#damaged.push(
          `${RUN_FILES.metrics}, line ${this.#lines}: damaged, left out: ${messageOf(error)}`,
        );
      }
    }
  }
}
