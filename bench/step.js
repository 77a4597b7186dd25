/** Times training steps of both networks, dense and pruned (DPP), in turns with PyTorch's dense step. */

import { BATCH, MODES, NETWORKS, TimedTrainer } from "./support/networks.js";
import { findPeers, Peers } from "./support/peers.js";
import { say, withoutPeers } from "./support/progress.js";
import { takeTurns } from "./support/rounds.js";
import { median, pairedRatio, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";
import { costTarget, speedTarget, targetList } from "./support/targets.js";

/** @typedef {import("./support/networks.js").NetworkName} NetworkName */
/** @typedef {import("./support/networks.js").Mode} Mode */
/** @typedef {import("./support/targets.js").Target} Target */

const ROUNDS = 9;
/** For the rounds of a network. */
const SECONDS = 45;
/** Of a round. */
const STEPS = 20;
/** At the start of a round, not counted: 0.1 s or more, as a core that has waited for a peer is slow for a while. */
const WARM_UP = { "lenet-300-100": 60, "lenet-5": 8 };
const THREADS = [1, 2];

/** How many times PyTorch's speed a dense step should have. */
const DENSE_TARGET = { "lenet-300-100": 1, "lenet-5": 1.2 };
/** How many dense steps a pruned step may cost. */
const DPP_TARGET = 1.6;

/**
 * What one contender took: the median step of each round, and every step where it tells them.
 *
 * @typedef {object} Series
 * @property {NetworkName} network
 * @property {"dense" | "dpp" | "pytorch"} what
 * @property {number} threads
 * @property {number[]} rounds milliseconds
 * @property {number[][]} steps milliseconds
 */

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchStep() {
  const peers = await findPeers();
  const pytorch = peers instanceof Peers ? peers : undefined;
  if (!(peers instanceof Peers)) say(`NO COMPARISON WITH PYTORCH: ${peers.missing}`);
  /** @type {Series[]} */
  const series = [];
  for (const network of NETWORKS) series.push(...(await measure(network, pytorch)));
  const targets = NETWORKS.flatMap((network) => judge(network, series));
  const heading = peers instanceof Peers ? [] : [withoutPeers(peers.missing), ""];
  const text = [
    ...heading,
    `Milliseconds of a training step at batch ${BATCH}: median [quartiles; best] over rounds (${roundCounts(series)}) of the median of` +
      ` ${STEPS} steps; the contenders take turns within a round. Ratios are medians of the rounds' ratios.` +
      (pytorch === undefined ? "" : ` PyTorch ${pytorch.version}, dense.`),
    "",
    resultTable(series),
    "",
    "Targets, each side at its best number of threads (met if both the median and the best rounds meet them):",
    "",
    targetList(targets),
  ].join("\n");
  return {
    text,
    data: { batch: BATCH, stepsPerRound: STEPS, pytorch: pytorch?.version ?? null, series, targets },
  };
}

/**
 * @param {NetworkName} network
 * @param {Peers | undefined} pytorch
 * @returns {Promise<Series[]>}
 */
async function measure(network, pytorch) {
  /** @type {Series[]} */
  const series = [];
  /** @type {import("./support/internals.js").Contender[]} */
  const contenders = [];
  for (const threads of THREADS) {
    for (const mode of MODES) {
      const size = { threads, epochs: ROUNDS, steps: WARM_UP[network] + STEPS };
      const trainer = await TimedTrainer.create(network, mode, size);
      const own = newSeries(network, mode, threads);
      series.push(own);
      contenders.push({
        name: `${mode} x${threads}`,
        round: async () => {
          const steps = (await trainer.epoch()).slice(WARM_UP[network]);
          own.steps.push(steps);
          return recorded(own, median(steps));
        },
        close: () => trainer.close(),
      });
    }
    if (pytorch !== undefined) {
      const own = newSeries(network, "pytorch", threads);
      series.push(own);
      contenders.push({
        name: `PyTorch x${threads}`,
        round: async () => recorded(own, await pytorch.stepMs(network, BATCH, threads, STEPS)),
      });
    }
  }
  await takeTurns(network, contenders, { rounds: ROUNDS, seconds: SECONDS });
  return series;
}

/**
 * @param {Series} series
 * @param {number} ms
 */
function recorded(series, ms) {
  series.rounds.push(ms);
  return ms;
}

/**
 * @param {NetworkName} network
 * @param {Series["what"]} what
 * @param {number} threads
 * @returns {Series}
 */
function newSeries(network, what, threads) {
  return { network, what, threads, rounds: [], steps: [] };
}

/**
 * @param {readonly Series[]} series
 * @param {NetworkName} network
 * @param {Series["what"]} what
 * @returns {Series[]} by number of threads; empty where it was not measured
 */
function of(series, network, what) {
  return series.filter((one) => one.network === network && one.what === what);
}

/**
 * @param {readonly Series[]} candidates at least one
 * @returns {Series}
 */
function fastest(candidates) {
  return candidates.reduce((best, one) => (median(one.rounds) < median(best.rounds) ? one : best));
}

/**
 * @param {NetworkName} network
 * @param {readonly Series[]} series
 * @returns {Target[]}
 */
function judge(network, series) {
  const dense = fastest(of(series, network, "dense"));
  const dpp = fastest(of(series, network, "dpp"));
  const pytorch = of(series, network, "pytorch");
  /** @type {Target[]} */
  const targets = [];
  if (pytorch.length > 0) {
    const peer = fastest(pytorch);
    const what = `${network}, dense, PyTorch's time (${peer.threads} thr.) over kofn's (${dense.threads})`;
    targets.push(speedTarget(what, peer.rounds, dense.rounds, DENSE_TARGET[network]));
  }
  const what = `${network}, DPP step (${dpp.threads} thr.) over dense step (${dense.threads})`;
  targets.push(costTarget(what, dpp.rounds, dense.rounds, DPP_TARGET));
  return targets;
}

/**
 * @param {readonly Series[]} series
 * @returns {string}
 */
function resultTable(series) {
  const rows = NETWORKS.flatMap((network) =>
    of(series, network, "dense").map((dense, i) => {
      const dpp = of(series, network, "dpp")[i];
      const pytorch = of(series, network, "pytorch").at(i);
      return [
        network,
        `${dense.threads}`,
        spread(summarise(dense.rounds)),
        pytorch === undefined ? "absent" : spread(summarise(pytorch.rounds)),
        pytorch === undefined ? "" : compared(pairedRatio(pytorch.rounds, dense.rounds).median),
        spread(summarise(dpp.rounds)),
        `${digits(pairedRatio(dpp.rounds, dense.rounds).median)}x`,
      ];
    }),
  );
  return table(
    ["network", "threads", "kofn dense", "PyTorch dense", "kofn's speed", "kofn DPP", "DPP / dense"],
    rows,
  );
}

/** @param {readonly Series[]} series */
function roundCounts(series) {
  return NETWORKS.map((network) => `${of(series, network, "dense")[0].rounds.length} of ${network}`).join(
    ", ",
  );
}

/**
 * @param {number} speed
 * @returns {string}
 */
function compared(speed) {
  return `${digits(speed)}x${speed < 1 ? ", slower" : ""}`;
}
