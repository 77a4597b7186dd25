/** `npm run bench -- latency`: how latency grows with density, maps and image size, beside onnxruntime; one thread each, batch 1. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { weights, zoo } from "kofn";
import { convolutionModel, packedNetwork } from "./support/packed.js";
import { logPlot } from "./support/plot.js";
import { takeTurns, timeRuns } from "./support/rounds.js";
import { ENGINES, openKofn, openPeers } from "./support/runners.js";
import { median, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";

/** @typedef {import("./support/runners.js").EngineName} EngineName */
/** @typedef {import("./support/runners.js").Runner} Runner */

/** At least so many runs and milliseconds of each contender in a round. */
const ROUND = { warmUp: 2, runs: 10, ms: 30 };
const LIMITS = { rounds: 9 };

const DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1];
const DENSITY = 0.1;
const MAPS = [16, 32, 64, 128, 256, 512];
const SIDE = 32;
const SIDES = [8, 16, 28, 56, 112, 224];
const CHANNELS = 64;

/**
 * One curve for each engine.
 *
 * @typedef {object} Curves
 * @property {string} file of the plot
 * @property {string} title
 * @property {string} x
 * @property {readonly number[]} at
 * @property {Readonly<Record<EngineName, readonly number[][]>>} rounds at each place: medians of rounds, in milliseconds
 */

/**
 * @param {{ out?: string | undefined }} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchLatency({ out }) {
  const curves = [await overDensity(), await overMaps(), await overSides()];
  if (out !== undefined) {
    mkdirSync(out, { recursive: true });
    for (const one of curves) writeFileSync(join(out, one.file), plot(one));
  }
  const text = [
    `Milliseconds of one run at batch 1, one thread each: median [quartiles; best] over ${LIMITS.rounds} rounds of the median of at least ${ROUND.runs} runs each; ` +
      "contenders take turns within a round. Ratios and plots are those of the best rounds. Weights and masks are random; onnxruntime runs the dense network.",
    ...curves.flatMap((one) => ["", `### ${one.title}`, "", tableOf(one)]),
  ].join("\n");
  return { text, data: { curves } };
}

/** @returns {Promise<Curves>} */
async function overDensity() {
  const networks = [];
  for (const keep of DENSITIES) {
    const contents = packedNetwork(zoo.resnet20(), keep === 1 ? {} : { "*": weights({ keep }) }, "float32");
    networks.push({ contents, ...(await openKofn(contents)) });
  }
  // What onnxruntime takes does not depend on how many weights are 0.
  const [{ contents, net }] = networks;
  const peers = await openPeers(contents, net);
  const all = await roundsOf(
    "resnet-20",
    [...networks, ...peers].map(({ runner }) => runner),
  );
  const [node, web] = all.slice(networks.length);
  return {
    file: "latency-density.svg",
    title: "ResNet-20 (3x32x32) by density",
    x: "kept weights, %",
    at: DENSITIES.map((density) => 100 * density),
    rounds: {
      kofn: all.slice(0, networks.length),
      "onnxruntime-node": DENSITIES.map(() => node),
      "onnxruntime-web": DENSITIES.map(() => web),
    },
  };
}

/** @returns {Promise<Curves>} */
async function overMaps() {
  return {
    file: "latency-maps.svg",
    title: `A 3x3 convolution of ${SIDE}x${SIDE} cells, ${100 * DENSITY} % of weights, by maps`,
    x: "maps in and out",
    at: MAPS,
    rounds: await overLayers(MAPS.map((maps) => ({ maps, side: SIDE }))),
  };
}

/** @returns {Promise<Curves>} */
async function overSides() {
  return {
    file: "latency-size.svg",
    title: `A 3x3 convolution of ${CHANNELS} maps, ${100 * DENSITY} % of weights, by image size`,
    x: "height and width",
    at: SIDES,
    rounds: await overLayers(SIDES.map((side) => ({ maps: CHANNELS, side }))),
  };
}

/**
 * @param {readonly { maps: number, side: number }[]} layers
 * @returns {Promise<Curves["rounds"]>}
 */
async function overLayers(layers) {
  /** @type {Record<EngineName, number[][]>} */
  const rounds = { kofn: [], "onnxruntime-node": [], "onnxruntime-web": [] };
  for (const { maps, side } of layers) {
    const contents = packedNetwork(
      convolutionModel(maps, side),
      { "*": weights({ keep: DENSITY }) },
      "float32",
    );
    const own = await openKofn(contents);
    const runners = [own, ...(await openPeers(contents, own.net))].map(({ runner }) => runner);
    const measured = await roundsOf(`${maps} maps of ${side}x${side}`, runners);
    ENGINES.forEach((engine, i) => rounds[engine].push(measured[i]));
  }
  return rounds;
}

/**
 * @param {string} what
 * @param {readonly Runner[]} runners
 * @returns {Promise<number[][]>} of each runner: medians of rounds, in milliseconds
 */
async function roundsOf(what, runners) {
  const medians = runners.map(() => /** @type {number[]} */ ([]));
  const contenders = runners.map((runner, i) => ({
    name: runner.engine,
    round: async () => {
      const ms = median(await timeRuns(() => runner.run(), ROUND));
      medians[i].push(ms);
      return ms;
    },
    close: () => runner.close(),
  }));
  await takeTurns(what, contenders, LIMITS);
  return medians;
}

/**
 * @param {Curves} curves
 * @returns {string}
 */
function tableOf({ x, at, rounds }) {
  const speed = (/** @type {EngineName} */ peer, /** @type {number} */ i) => {
    const ratio = Math.min(...rounds[peer][i]) / Math.min(...rounds.kofn[i]);
    return `${digits(ratio)}x${ratio < 1 ? ", slower" : ""}`;
  };
  return table(
    [x, ...ENGINES, "over node", "over web"],
    at.map((value, i) => [
      String(value),
      ...ENGINES.map((engine) => spread(summarise(rounds[engine][i]))),
      speed("onnxruntime-node", i),
      speed("onnxruntime-web", i),
    ]),
  );
}

/**
 * @param {Curves} curves
 * @returns {string}
 */
function plot({ title, x, at, rounds }) {
  const lines = ENGINES.map((name) => ({
    name,
    points: at.map((value, i) => /** @type {const} */ ([value, Math.min(...rounds[name][i])])),
  }));
  return logPlot({ title, x, y: "milliseconds of a run", ticks: at, lines });
}
