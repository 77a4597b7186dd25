/** What memory.js measures, in a process of its own: `idle`, `train NETWORK MODE STEPS` or `sampler R N K`. */

import { Engine } from "../packages/kofn/dist/engine/session.js";
import { Random } from "../packages/kofn/dist/random.js";
import { Trainer, withDefaults } from "../packages/kofn/dist/train/trainer.js";
import { BATCH, networkOf } from "./support/networks.js";
import { Sampler } from "./support/sampler.js";

/** @typedef {import("./support/networks.js").NetworkName} NetworkName */
/** @typedef {import("./support/networks.js").Mode} Mode */

const SAMPLER_RUNS = 6;
const SIDE = 28;

const [what, ...args] = process.argv.slice(2);
switch (what) {
  case "idle":
    await Engine.open();
    break;
  case "train":
    await train(/** @type {NetworkName} */ (args[0]), /** @type {Mode} */ (args[1]), Number(args[2]));
    break;
  case "sampler": {
    const [rows, n, k] = args.map(Number);
    const sampler = new Sampler({ rows, n, k });
    for (let i = 0; i < SAMPLER_RUNS; i++) sampler.run();
    break;
  }
  default:
    throw new Error(`memory-child.js knows idle, train and sampler, not "${what}"`);
}

/**
 * Trains on one batch of random images, as the peer does, so that no data set counts.
 *
 * @param {NetworkName} network
 * @param {Mode} mode
 * @param {number} steps
 * @returns {Promise<void>}
 */
async function train(network, mode, steps) {
  const random = new Random(1, "bench/images");
  const split = {
    count: BATCH,
    images: Uint8Array.from({ length: BATCH * SIDE * SIDE }, () => random.below(256)),
    labels: Uint16Array.from({ length: BATCH }, () => random.below(10)),
  };
  const data = {
    name: "random",
    channels: 1,
    height: SIDE,
    width: SIDE,
    classes: Array.from({ length: 10 }, (_, label) => String(label)),
    train: split,
    validation: split,
    test: split,
  };
  const { model, layers } = networkOf(network, mode);
  const settings = withDefaults({ batch: BATCH, epochs: steps });
  const trainer = await Trainer.create(model, data, BATCH, layers, settings, "cpu");
  for (let epoch = 1; epoch <= steps; epoch++) await trainer.epoch(epoch);
  await trainer.close();
}
