/**
 * The parts of kofn that benches use and its public API does not have, each with the reason. This file alone knows where they
 * lie; all else that benches use comes from "kofn" and "@kofn/runtime".
 *
 * Each is loaded when it is asked for, and what the processes of the bench `memory` load (networks, resnet, images, sampler,
 * memory-child) comes from here alone: with the whole library, such a process takes 15 MiB more.
 */

/**
 * @typedef {import("../../packages/kofn/dist/bench/engines.js").EngineName} EngineName
 * @typedef {import("../../packages/kofn/dist/bench/engines.js").Runner} Runner
 * @typedef {import("../../packages/kofn/dist/bench/rounds.js").Contender} Contender
 * @typedef {import("../../packages/kofn/dist/bench/rounds.js").Limits} Limits
 * @typedef {import("../../packages/kofn/dist/bench/rounds.js").RoundSize} RoundSize
 * @typedef {import("../../packages/kofn/dist/bench/statistics.js").Summary} Summary
 * @typedef {import("../../packages/kofn/dist/host/sampler.js").HostSampler} HostSampler
 * @typedef {import("../../packages/kofn/dist/train/trainer.js").Trainer} Trainer
 */

export const internals = {
  /** Epochs without an evaluation after each: `step`, `resnet-20`, `memory` and `ops` time and profile single steps. */
  trainer: () => import("../../packages/kofn/dist/train/trainer.js"),
  /** The settings that a trainer takes. */
  settings: () => import("../../packages/kofn/dist/options/with-defaults.js"),
  /** onnxruntime as kofn sets it up: `memory`, `pack`, `qdq`, `quantize` and `agreement` run models with it. */
  engine: () => import("../../packages/kofn/dist/engine/session.js"),
  /** One layer's sampler, which `sampler` and `memory` measure, and the optimizer that it has. Public, but see above. */
  sampler: () => import("../../packages/kofn/dist/host/sampler.js"),
  optimizer: () => import("../../packages/kofn/dist/optim/optimizer.js"),
  /** What a trainer is made for. Public, but see above. */
  zoo: () => import("../../packages/kofn/dist/models/zoo.js"),
  glyphs: () => import("../../packages/kofn/dist/datasets/glyphs.js"),
  layers: () => import("../../packages/kofn/dist/layers/layers.js"),
  pruneSpec: () => import("../../packages/kofn/dist/prune/spec.js"),
  /** Streams of random numbers: images, weights and masks are those of figures that were published. */
  random: () => import("../../packages/kofn/dist/random.js"),
  /** What `kofn bench` measures with: rounds by turns, order statistics, engines side by side. */
  rounds: () => import("../../packages/kofn/dist/bench/rounds.js"),
  statistics: () => import("../../packages/kofn/dist/bench/statistics.js"),
  engines: () => import("../../packages/kofn/dist/bench/engines.js"),
  subject: () => import("../../packages/kofn/dist/bench/subject.js"),
  /** Masks and codes of random numbers: `pack`, `runtime` and `latency` measure networks that nobody has trained. */
  masks: () => import("../../packages/kofn/dist/prune/mask.js"),
  quantizedWeights: () => import("../../packages/kofn/dist/quantize/weights.js"),
  prunedContents: () => import("../../packages/kofn/dist/pack/contents.js"),
  infoSection: () => import("../../packages/kofn/dist/pack/info-section.js"),
  /** The images of a split in batches, and what a model reads and gives: `quantize` and `agreement` compare models image by image. */
  batches: () => import("../../packages/kofn/dist/data/batches.js"),
  loader: () => import("../../packages/kofn/dist/data/loader.js"),
  interface: () => import("../../packages/kofn/dist/task/evaluate.js"),
  /** A run's network before the export puts integers into it: `agreement` gives it other ranges. */
  bareModel: () => import("../../packages/kofn/dist/integers/export-trained.js"),
};
