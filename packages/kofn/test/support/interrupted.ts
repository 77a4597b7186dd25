/** Runs that stop half-way, for tests that go on with them. */

import { expect } from "vitest";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";

/** The checkpoint after an epoch, of a run that is then thrown out of. */
export async function interruptedAfter(epoch: number, options: TrainOptions): Promise<Checkpoint> {
  const stop = new Error("interrupted");
  let saved: Checkpoint | undefined;
  const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
    if (checkpoint.metrics.length < epoch) return Promise.resolve();
    saved = checkpoint;
    return Promise.reject(stop);
  };
  await expect(train({ ...options, onCheckpoint })).rejects.toBe(stop);
  if (saved === undefined) throw new Error(`no checkpoint after epoch ${epoch}`);
  return saved;
}
