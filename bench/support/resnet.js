/** Trainers of dense steps of resnet-20, as the peer trains it: batch 128, one batch of random images. */

import { randomImages } from "./images.js";
import { internals } from "./internals.js";
import { TimedTrainer } from "./networks.js";

const { Trainer } = await internals.trainer();
const { withDefaults } = await internals.settings();
const { ZOO } = await internals.zoo();

export const RESNET_BATCH = 128;

/**
 * @param {object} options
 * @param {number} options.threads
 * @param {number} options.epochs the schedules go over so many
 * @param {number} options.steps of an epoch
 * @param {string} [options.profile] prefix of the file for onnxruntime's profile
 * @returns {Promise<TimedTrainer>}
 */
export async function resnetTrainer({ threads, epochs, steps, profile }) {
  const count = steps * RESNET_BATCH;
  const data = randomImages({ channels: 3, side: 32, count });
  const settings = withDefaults({ batch: RESNET_BATCH, threads, epochs });
  return new TimedTrainer(await Trainer.create(ZOO["resnet-20"](), data, count, [], settings, { profile }));
}
