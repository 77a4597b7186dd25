/** Ctrl-C: the first stops the work in an orderly way, the second ends the process at once. */

import { note } from "./terminal.js";

/** The exit code of a command that was interrupted: 128 + SIGINT, as shells have it. */
export const INTERRUPTED = 130;

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
  const onInterrupt = (): void => {
    if (signal.aborted) process.exit(INTERRUPTED);
    note("\nstopping; Ctrl-C again to stop at once");
    controller.abort();
  };
  process.on("SIGINT", onInterrupt);
  try {
    return await work(signal);
  } catch (error) {
    if (signal.aborted) throw new Interrupted(`interrupted: ${remains()}`, { cause: error });
    throw error;
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}
