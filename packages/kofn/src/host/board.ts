/** What the threads that sample tell each other, in memory that they share: what is to be done, and what is done. */

import type { Task } from "./task.js";

/**
 * Words of the memory: how many calls there have been; how many blocks are left to take; how many are ready, as what they read
 * is in place; how many are done; and whether a thread has failed. They lie apart, as several threads write them.
 */
const [CALLS, LEFT, READY, DONE, FAILED] = [0, 16, 32, 48, 64];
const WORDS = 80;
/**
 * A task's numbers: how many there were before, whether it is to learn and to draw, beta and tau; then k of each sampler, to learn with
 * and to draw.
 */
const NUMBERS = 5;

/**
 * One thread puts tasks up and calls the others; all take blocks until none are left, and it waits until all are done.
 *
 * A thread that comes late takes no harm, and does none: it may take a block of a newer task than it was woken for, as what is
 * to be done is read after a block has been taken, and stays until that block is done.
 */
export class Board {
  readonly #words: Int32Array;
  /** Of each block, whether it is done. */
  readonly #done: Int32Array;
  readonly #numbers: Float64Array;
  readonly #k: readonly [learn: Float64Array, draw: Float64Array];
  /** The task that was read last, and its number. */
  #task: Task | undefined;
  #number = -1;

  /** @param memory of {@link Board.bytes} */
  constructor(memory: SharedArrayBuffer, blocks: number, samplers: number) {
    const [learn, draw] = [8 * NUMBERS, 8 * (NUMBERS + samplers)];
    const words = draw + 8 * samplers;
    this.#numbers = new Float64Array(memory, 0, NUMBERS);
    this.#k = [new Float64Array(memory, learn, samplers), new Float64Array(memory, draw, samplers)];
    this.#words = new Int32Array(memory, words, WORDS);
    this.#done = new Int32Array(memory, words + 4 * WORDS, blocks);
  }

  static bytes(blocks: number, samplers: number): number {
    return 8 * (NUMBERS + 2 * samplers) + 4 * (WORDS + blocks);
  }

  /** Puts up a task, when that before is done. */
  put(task: Task): void {
    const { lesson, draw } = task;
    const does = [Number(lesson !== undefined), Number(draw !== undefined)];
    this.#numbers.set([this.#numbers[0] + 1, ...does, draw?.beta ?? NaN, lesson?.tau ?? NaN]);
    this.#k[0].set(lesson?.k ?? []);
    this.#k[1].set(draw?.k ?? []);
    this.#done.fill(0);
    this.#words[READY] = 0;
    this.#words[DONE] = 0;
    Atomics.store(this.#words, LEFT, this.#done.length);
  }

  /** Says that what the first so many blocks read is in place. */
  setReady(blocks: number): void {
    Atomics.store(this.#words, READY, blocks);
  }

  /** Wakes the threads that found no block. */
  call(): void {
    Atomics.add(this.#words, CALLS, 1);
    Atomics.notify(this.#words, CALLS);
  }

  /** Sleeps until there has been another number of calls, and gives it. */
  awaitCall(calls: number): number {
    Atomics.wait(this.#words, CALLS, calls);
    return Atomics.load(this.#words, CALLS);
  }

  /** Takes a block, and gives its index; or undefined, if none is ready. */
  take(): number | undefined {
    for (;;) {
      const left = Atomics.load(this.#words, LEFT);
      const block = this.#done.length - left;
      if (left === 0 || !this.#isReady(block)) return undefined;
      if (Atomics.compareExchange(this.#words, LEFT, left, left - 1) !== left) continue;
      // It may be a block of a task that has been put up since, and is about to be ready.
      while (!this.#isReady(block));
      return block;
    }
  }

  #isReady(block: number): boolean {
    return block < Atomics.load(this.#words, READY);
  }

  /** The task that a block has been taken of. */
  get task(): Task {
    if (this.#task === undefined || this.#numbers[0] !== this.#number) this.#task = this.#read();
    return this.#task;
  }

  #read(): Task {
    const [number, learns, draws, beta, tau] = this.#numbers;
    this.#number = number;
    const [learn, draw] = this.#k.map((k) => Array.from(k));
    return {
      ...(learns === 1 ? { lesson: { k: learn, tau } } : {}),
      ...(draws === 1 ? { draw: { beta, k: draw } } : {}),
    };
  }

  setDone(block: number): void {
    Atomics.store(this.#done, block, 1);
    if (Atomics.add(this.#words, DONE, 1) + 1 === this.#done.length) Atomics.notify(this.#words, DONE);
  }

  isDone(block: number): boolean {
    return Atomics.load(this.#done, block) === 1;
  }

  /** How many blocks are done. */
  get done(): number {
    return Atomics.load(this.#words, DONE);
  }

  /** Sleeps until all blocks are done, if only so many are by now, or for so many milliseconds. */
  awaitDone(done: number, milliseconds: number): void {
    Atomics.wait(this.#words, DONE, done, milliseconds);
  }

  fail(): void {
    Atomics.store(this.#words, FAILED, 1);
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#words, FAILED) === 1;
  }
}
