/** Ctrl-C: the first stops the work in an orderly way, a later one ends the process at once. */

import { note } from "./terminal.js";

/** The exit code of a command that was interrupted: 128 + SIGINT, as shells have it. */
export const INTERRUPTED = 130;

/** A launcher such as npm passes on the signal that the terminal has sent to all: two within this time are one. */
const ECHO_MS = 500;

/** The work was stopped by Ctrl-C. The message says what is left of it. */
export class Interrupted extends Error {}

/**
 * Runs work that stops when its signal is aborted.
 *
 * @param remains says, when the work was stopped, what is left of it.
 * @throws Interrupted in place of what the stopped work throws.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  remains: () => string,
): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  let first = -Infinity;
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
  try {
    const result = await work(signal);
    process.off("SIGINT", onInterrupt);
    return result;
  } catch (error) {
    if (signal.aborted) throw new Interrupted(`interrupted: ${remains()}`, { cause: error });
    throw error;
  }
}
