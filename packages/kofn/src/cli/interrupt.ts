/** Ctrl-C, or the studio, stops the work in an orderly way; a later Ctrl-C ends the process at once. */

import { note } from "./terminal.js";

/** The exit code of a command that was interrupted: 128 + SIGINT, as shells have it. */
export const INTERRUPTED = 130;

/** A launcher such as npm passes on the signal that the terminal has sent to all: two within this time are one. */
const ECHO_MS = 500;

/** Who stopped the work. */
export type Stopper = "terminal" | "studio";

const STOPPED: Readonly<Record<Stopper, string>> = {
  terminal: "interrupted",
  studio: "stopped from the studio",
};

/** The work was stopped. The message says by whom, and what is left of it. */
export class Interrupted extends Error {
  readonly by: Stopper;

  constructor(by: Stopper, remains: string, options: { cause?: unknown } = {}) {
    super(`${STOPPED[by]}: ${remains}`, options);
    this.by = by;
  }
}

/** Pieces of interruptible work that go on. */
let working = 0;

/**
 * Wherever no interruptible work goes on, lets Ctrl-C end the process so that it gives back what it holds, which it doesn't where
 * the signal itself ends it.
 *
 * @param remains says what is left of the work.
 * @returns what ends that.
 */
export function endAtInterrupt(remains: () => string): () => void {
  const onInterrupt = (): void => {
    if (working > 0) return;
    note(new Interrupted("terminal", remains()).message);
    process.exit(INTERRUPTED);
  };
  process.on("SIGINT", onInterrupt);
  return () => {
    process.off("SIGINT", onInterrupt);
  };
}

/**
 * Runs work that stops when its signal is aborted.
 *
 * @param remains says, when the work was stopped, what is left of it.
 * @param watchForStop calls what it is given if the studio asks to stop, and returns what ends the watch.
 * @throws Interrupted in place of what the stopped work throws.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  remains: () => string,
  watchForStop?: (stop: () => void) => () => void,
): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  let first = -Infinity;
  let by: Stopper = "terminal";
  const onInterrupt = (): void => {
    const now = performance.now();
    if (!signal.aborted) {
      first = now;
      note("\nstopping; Ctrl-C again to stop at once");
      controller.abort();
    } else if (now - first > ECHO_MS) {
      process.exit(INTERRUPTED);
    }
  };
  process.on("SIGINT", onInterrupt);
  const unwatch = watchForStop?.(() => {
    if (signal.aborted) return;
    by = "studio";
    note("\nstopping, as the studio asks; Ctrl-C to stop at once");
    controller.abort();
  });
  working++;
  try {
    const result = await work(signal);
    process.off("SIGINT", onInterrupt);
    working--;
    return result;
  } catch (error) {
    // What is interrupted stays so: its handler tells an echo from a second Ctrl-C.
    if (signal.aborted) throw new Interrupted(by, remains(), { cause: error });
    working--;
    throw error;
  } finally {
    unwatch?.();
  }
}
