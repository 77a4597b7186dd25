/** The events that go to all open pages, each with an id from which a page that was away can go on. */

import { randomBytes } from "node:crypto";
import type { RunsChanged } from "../api.js";

const KEPT = 256;

export interface StudioEvent {
  readonly id: string;
  readonly data: RunsChanged;
}

type Listener = (event: StudioEvent) => void;

export class Events {
  /** Ids of a server that has ended say nothing to this one. */
  readonly #server = randomBytes(4).toString("hex");
  readonly #listeners = new Set<Listener>();
  #kept: StudioEvent[] = [];
  #count = 0;

  /** The id of the newest event. */
  get last(): string {
    return `${this.#server}-${this.#count}`;
  }

  publish(data: RunsChanged): void {
    this.#count++;
    const event = { id: this.last, data };
    this.#kept = [...this.#kept, event].slice(-KEPT);
    for (const listener of this.#listeners) listener(event);
  }

  /** The events after the one with an id; undefined if that can't be told. */
  after(id: string): StudioEvent[] | undefined {
    if (id === this.last) return [];
    const at = this.#kept.findIndex((event) => event.id === id);
    if (at !== -1) return this.#kept.slice(at + 1);
    return this.#count <= KEPT && id === `${this.#server}-0` ? [...this.#kept] : undefined;
  }

  /** Returns what ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
