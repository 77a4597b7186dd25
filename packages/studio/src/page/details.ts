/** The details of the run that is looked at, read anew when the server says that they have changed. */

import { type ReadonlySignal, type Signal, signal, useSignal, useSignalEffect } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { RunDetails } from "../api.js";
import { fetchDetails, Refused } from "./requests.js";
import { loaded, runs } from "./store.js";

export type Loaded =
  | { readonly kind: "loading" }
  | { readonly kind: "here"; readonly details: RunDetails }
  /** There is no such run, or not any more. */
  | { readonly kind: "gone" };

/** Not more often than this. */
const AGAIN_MS = 400;

/** Follows some runs as long as the component is there. */
export function useDetails(ids: readonly string[]): readonly ReadonlySignal<Loaded>[] {
  const key = ids.join("+");
  const followed = useMemo(
    () =>
      key
        .split("+")
        .filter((id) => id !== "")
        .map((id) => new Followed(id)),
    [key],
  );
  const current = useSignal(followed);
  current.value = followed;
  useSignalEffect(() => {
    for (const each of current.value) each.look();
  });
  return followed.map(({ state }) => state);
}

class Followed {
  readonly state: Signal<Loaded> = signal({ kind: "loading" });
  readonly #id: string;
  #revision: string | undefined;
  #busy = false;

  constructor(id: string) {
    this.#id = id;
  }

  /** Reads the details if those that are there are not the newest. */
  look(): void {
    const revision = runs.value.get(this.#id)?.revision;
    if (revision === undefined) {
      this.#revision = undefined;
      if (loaded.value) this.state.value = { kind: "gone" };
      return;
    }
    if (this.#busy || revision === this.#revision) return;
    this.#busy = true;
    void this.#read();
  }

  async #read(): Promise<void> {
    let answered = true;
    try {
      const details = await fetchDetails(this.#id);
      this.#revision = details.summary.revision;
      this.state.value = { kind: "here", details };
    } catch (error) {
      // Where the connection is lost, the list that comes with the next one leads here again.
      answered = error instanceof Refused;
    }
    setTimeout(() => {
      this.#busy = false;
      if (answered) this.look();
    }, AGAIN_MS);
  }
}
