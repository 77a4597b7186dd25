/** What the threads that sample tell each other, in memory that they share: what is to be done, and what is done. */

import type { Scalars, Task } from "./sampler-rows.js";

/**
 * Words of the memory: how many tasks there have been; how many blocks are left to take; how many are ready, as what they read
 * is in place; how many are done; and whether a thread has failed. They lie apart, as several threads write them.
 */
const [TASKS, LEFT, READY, DONE, FAILED] = [0, 16, 32, 48, 64];
const WORDS = 80;
/** A task's numbers: how many there were before, its kind, beta or tau, and the scalars of both optimizers. */
const SCALARS = ["rate", "epsilon", "decay"] as const;
const NUMBERS = 3 + 2 * SCALARS.length;

/**
 * One thread puts tasks up, with {@link put}; all take blocks of it until none are left, and it waits until all are done.
 *
 * A thread that comes late takes no harm, and does none: it may take a block of a newer task than it was woken for, as what is
 * to be done is read after a block has been taken, and stays until that block is done.
 */
export class Board {
  readonly #words: Int32Array;
  /** Of each block, whether it is done. */
  readonly #done: Int32Array;
  readonly #numbers: Float64Array;
  readonly #k: Float64Array;
  /** The task that was read last, and its number. */
  #task: Task | undefined;
  #number = -1;

  /** @param memory of {@link Board.bytes} */
  constructor(memory: SharedArrayBuffer, blocks: number, samplers: number) {
    this.#numbers = new Float64Array(memory, 0, NUMBERS);
    this.#k = new Float64Array(memory, 8 * NUMBERS, samplers);
    this.#words = new Int32Array(memory, 8 * (NUMBERS + samplers), WORDS);
    this.#done = new Int32Array(memory, 8 * (NUMBERS + samplers) + 4 * WORDS, blocks);
  }

  static bytes(blocks: number, samplers: number): number {
    return 8 * (NUMBERS + samplers) + 4 * (WORDS + blocks);
  }

  /** Puts up a task, when that before is done, and wakes the threads that wait for one. */
  put(task: Task): void {
    const scalars =
      task.kind === "sample"
        ? []
        : [task.ofLogits, task.ofWeights].flatMap((own) => SCALARS.map((name) => own[name] ?? NaN));
    const [kind, strength] = task.kind === "sample" ? [0, task.beta] : [1, task.tau];
    this.#numbers.set([this.#numbers[0] + 1, kind, strength, ...scalars]);
    this.#k.set(task.k);
    this.#done.fill(0);
    this.#words[READY] = 0;
    this.#words[DONE] = 0;
    Atomics.store(this.#words, LEFT, this.#done.length);
    Atomics.add(this.#words, TASKS, 1);
    Atomics.notify(this.#words, TASKS);
  }

  /** Says that what the first so many blocks read is in place. */
  setReady(blocks: number): void {
    Atomics.store(this.#words, READY, blocks);
  }

  /** Takes a block, and gives its index; or undefined, if there is none left. */
  take(): number | undefined {
    for (;;) {
      const left = Atomics.load(this.#words, LEFT);
      if (left === 0) return undefined;
      if (Atomics.compareExchange(this.#words, LEFT, left, left - 1) !== left) continue;
      const block = this.#done.length - left;
      // The first thread is about to say so.
      while (Atomics.load(this.#words, READY) <= block);
      return block;
    }
  }

  /** The task that a block has been taken of. */
  get task(): Task {
    if (this.#task === undefined || this.#numbers[0] !== this.#number) this.#task = this.#read();
    return this.#task;
  }

  #read(): Task {
    const [number, kind, strength, ...scalars] = this.#numbers;
    this.#number = number;
    const k = Array.from(this.#k);
    if (kind === 0) return { kind: "sample", beta: strength, k };
    const named = (from: number): Scalars =>
      Object.fromEntries(SCALARS.map((name, i) => [name, scalars[from + i]]));
    return { kind: "update", tau: strength, k, ofLogits: named(0), ofWeights: named(SCALARS.length) };
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

  /** Sleeps until there has been another number of tasks, and gives it. */
  awaitTask(tasks: number): number {
    Atomics.wait(this.#words, TASKS, tasks);
    return Atomics.load(this.#words, TASKS);
  }

  fail(): void {
    Atomics.store(this.#words, FAILED, 1);
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#words, FAILED) === 1;
  }
}
