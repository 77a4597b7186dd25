/** Says where a training step's time goes, by operator and by node, from onnxruntime's profile. */

import { availableParallelism } from "node:os";
import { InputError } from "kofn";
import { NETWORKS, TimedTrainer } from "./support/networks.js";
import { profileStep } from "./support/profile.js";
import { say } from "./support/progress.js";

const STEPS = 60;
/** At the start; not counted. */
const WARM_UP = 10;
const NODES_SHOWN = 25;
const THREADS = availableParallelism();

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchOps({ model, dense = false }) {
  const network = NETWORKS.find((name) => name === model);
  if (network === undefined) {
    throw new InputError(
      `ops: expected --model ${NETWORKS.join(" or --model ")}, got ${model === undefined ? "none" : `"${model}"`}`,
    );
  }
  const mode = dense ? "dense" : "dpp";
  say(`profiling ${STEPS} ${mode} steps of ${network}`);
  const { text, data } = await profileStep({
    what: `${network}, ${mode} step`,
    threads: THREADS,
    warmUp: WARM_UP,
    shown: NODES_SHOWN,
    create: (profile) =>
      TimedTrainer.create(network, mode, { threads: THREADS, epochs: 1, steps: WARM_UP + STEPS, profile }),
  });
  return { text, data: { network, mode, ...data } };
}
