/** What memory.js measures, in a process of its own: `idle`, `train NETWORK MODE STEPS`, `resnet-20 STEPS` or `sampler R N K`. */

import { availableParallelism } from "node:os";
import { randomImages } from "./support/images.js";
import { internals } from "./support/internals.js";
import { BATCH, networkOf } from "./support/networks.js";
import { resnetTrainer } from "./support/resnet.js";
import { Sampler } from "./support/sampler.js";

/** @typedef {import("./support/networks.js").NetworkName} NetworkName */
/** @typedef {import("./support/networks.js").Mode} Mode */

const { Engine } = await internals.engine();
const { Trainer } = await internals.trainer();
const { withDefaults } = await internals.settings();

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
  case "resnet-20": {
    const trainer = await resnetTrainer({
      threads: availableParallelism(),
      epochs: 1,
      steps: Number(args[0]),
    });
    await trainer.epoch();
    await trainer.close();
    break;
  }
  case "sampler": {
    const [rows, n, k] = args.map(Number);
    const sampler = new Sampler({ rows, n, k });
    for (let i = 0; i < SAMPLER_RUNS; i++) sampler.run();
    break;
  }
  default:
    throw new Error(`memory-child.js knows idle, train, resnet-20 and sampler, not "${what}"`);
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
  const data = randomImages({ channels: 1, side: SIDE, count: BATCH });
  const { model, layers } = networkOf(network, mode);
  const settings = withDefaults({ batch: BATCH, epochs: steps });
  const trainer = await Trainer.create(model, data, BATCH, layers, settings);
  for (let epoch = 1; epoch <= steps; epoch++) await trainer.epoch(epoch);
  await trainer.close();
}
