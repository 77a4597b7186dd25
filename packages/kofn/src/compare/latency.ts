/** How long a run's network takes for one sample in @kofn/runtime. */

import { kofnRunner } from "../bench/engines.js";
import { timeRuns } from "../bench/rounds.js";
import { median } from "../bench/statistics.js";
import { randomBatch } from "../bench/subject.js";
import { InputError } from "../errors.js";
import { loadNetwork } from "../files/network.js";
import { encodeKofn } from "../pack/file.js";
import { runContents } from "../run/packed.js";
import { readRun } from "../run/read.js";

const ROUND = { warmUp: 20, runs: 50, ms: 200 };

/** @returns microseconds on one thread, a median; null where the runtime can't run the network. */
export async function latencyOf(run: string): Promise<number | null> {
  const { bytes } = encodeKofn(await runContents(await readRun(run)));
  try {
    const runner = kofnRunner(...(await subject(run, bytes)));
    const times = await timeRuns(() => runner.run(), ROUND);
    await runner.close();
    return 1000 * median(times);
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

async function subject(run: string, bytes: Uint8Array): Promise<Parameters<typeof kofnRunner>> {
  const net = await loadNetwork(run, bytes);
  return [net, randomBatch(net, 1)];
}
