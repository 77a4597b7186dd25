/** Brings the heatmaps of the epoch that is looked at, keeping those that were, and leaving out those in between. */

import { type ReadonlySignal, signal } from "@preact/signals";

/** What is kept of the epochs that were looked at, in bytes. */
const KEPT_BYTES = 2 ** 25;

export interface Cells {
  /** From 0. */
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

export class CellLoader {
  readonly #load: (epoch: number) => Promise<Uint8Array>;
  readonly #shown = signal<Cells | null>(null);
  readonly #failed = signal(false);
  readonly #kept = new Map<number, Uint8Array>();
  #keptBytes = 0;
  #wanted = -1;
  #epochs = 0;
  #busy = false;

  constructor(load: (epoch: number) => Promise<Uint8Array>) {
    this.#load = load;
  }

  /** The newest heatmaps that have come. */
  get shown(): ReadonlySignal<Cells | null> {
    return this.#shown;
  }

  /** Whether those that were wanted last could not be had. */
  get failed(): ReadonlySignal<boolean> {
    return this.#failed;
  }

  /**
   * @param epoch from 0.
   * @param epochs how many there are: if there are fewer than before, the run was begun anew.
   */
  want(epoch: number, epochs: number): void {
    if (epochs < this.#epochs) this.#forget();
    this.#epochs = epochs;
    this.#wanted = epoch;
    const kept = this.#kept.get(epoch);
    if (kept !== undefined) this.#shown.value = { epoch, bytes: kept };
    else if (!this.#busy) void this.#bring();
  }

  async #bring(): Promise<void> {
    this.#busy = true;
    const epoch = this.#wanted;
    try {
      const bytes = await this.#load(epoch);
      this.#keep(epoch, bytes);
      this.#shown.value = { epoch, bytes };
      this.#failed.value = false;
    } catch {
      this.#failed.value = true;
    }
    this.#busy = false;
    if (this.#wanted !== epoch) this.want(this.#wanted, this.#epochs);
  }

  #forget(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  #keep(epoch: number, bytes: Uint8Array): void {
    this.#kept.set(epoch, bytes);
    this.#keptBytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES || oldest === epoch) return;
      this.#kept.delete(oldest);
      this.#keptBytes -= length;
    }
  }
}
