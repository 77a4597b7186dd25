/** Times a dense training step of resnet-20 in turns with PyTorch's, takes both's peak memory, and profiles it. */

import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { findPeers, Peers } from "./support/peers.js";
import { peakMemory } from "./support/process.js";
import { profileStep } from "./support/profile.js";
import { say, withoutPeers } from "./support/progress.js";
import { RESNET_BATCH, resnetTrainer } from "./support/resnet.js";
import { takeTurns } from "./support/rounds.js";
import { median, pairedRatio, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";
import { costTarget, speedTarget, targetList } from "./support/targets.js";

const NETWORK = "resnet-20";
const CHILD = fileURLToPath(new URL("memory-child.js", import.meta.url));
const THREADS = [1, 2];
const ROUNDS = 9;
/** For all rounds. */
const SECONDS = 150;
/** Of a round. */
const STEPS = 5;
/** At the start of a round; not counted. */
const WARM_UP = 1;
const MEMORY_STEPS = 8;
const PROFILED_STEPS = 20;
const NODES_SHOWN = 12;

/** How many times PyTorch's speed a step should have, and how many times its memory it may take. */
const SPEED_TARGET = 0.9;
const LEAST_SPEED = 0.5;
const MEMORY_TARGET = 1.5;

/**
 * @typedef {object} Series
 * @property {"kofn" | "pytorch"} what
 * @property {number} threads
 * @property {number[]} rounds milliseconds: the median step of each round
 */

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchResnet() {
  const peers = await findPeers();
  const pytorch = peers instanceof Peers ? peers : undefined;
  if (!(peers instanceof Peers)) say(`NO COMPARISON WITH PYTORCH: ${peers.missing}`);
  const series = await measure(pytorch);
  const cores = availableParallelism();
  const peaks = {
    kofn: await peakMemory(process.execPath, [CHILD, NETWORK, `${MEMORY_STEPS}`]),
    pytorch: await pytorch?.stepMemory(NETWORK, RESNET_BATCH, cores, MEMORY_STEPS),
  };
  say("profiling");
  const where = await profileStep({
    what: `${NETWORK}, dense step`,
    threads: cores,
    warmUp: WARM_UP,
    shown: NODES_SHOWN,
    create: (profile) =>
      resnetTrainer({ threads: cores, epochs: 1, steps: WARM_UP + PROFILED_STEPS, profile }),
  });
  const kofn = series.filter(({ what }) => what === "kofn");
  const peer = series.filter(({ what }) => what === "pytorch");
  const targets = judge(kofn, peer, peaks);
  const heading = peers instanceof Peers ? [] : [withoutPeers(peers.missing), ""];
  const text = [
    ...heading,
    `Milliseconds of a dense training step of ${NETWORK} (3x32x32, Adam) at batch ${RESNET_BATCH}: median [quartiles; best] over` +
      ` ${kofn[0].rounds.length} rounds of the median of ${STEPS} steps; the contenders take turns within a round.` +
      (pytorch === undefined ? "" : ` PyTorch ${pytorch.version}.`),
    "",
    table(
      ["threads", "kofn", "PyTorch", "kofn's speed"],
      kofn.map(({ threads, rounds }, i) => {
        const other = peer.at(i)?.rounds;
        return [
          `${threads}`,
          spread(summarise(rounds)),
          other === undefined ? "absent" : spread(summarise(other)),
          other === undefined ? "" : `${digits(pairedRatio(other, rounds).median)}x`,
        ];
      }),
    ),
    "",
    `Peak resident memory of ${MEMORY_STEPS} steps in a process of their own, ${cores} threads: kofn ${peaks.kofn.toFixed(0)} MiB` +
      (peaks.pytorch === undefined ? "." : `, PyTorch ${peaks.pytorch.toFixed(0)} MiB.`),
    "",
    ...(targets.length === 0
      ? []
      : ["Targets, each side at its best number of threads:", "", targetList(targets), ""]),
    where.text,
  ].join("\n");
  return {
    text,
    data: { batch: RESNET_BATCH, stepsPerRound: STEPS, series, peaks, targets, profile: where.data },
  };
}

/**
 * @param {Peers | undefined} pytorch
 * @returns {Promise<Series[]>}
 */
async function measure(pytorch) {
  /** @type {Series[]} */
  const series = [];
  /** @type {import("./support/internals.js").Contender[]} */
  const contenders = [];
  /**
   * @param {Series["what"]} what
   * @param {number} threads
   * @param {() => Promise<number>} round
   * @param {() => Promise<void>} [close]
   */
  const add = (what, threads, round, close) => {
    /** @type {number[]} */
    const rounds = [];
    series.push({ what, threads, rounds });
    contenders.push({
      name: `${what} x${threads}`,
      round: async () => {
        const ms = await round();
        rounds.push(ms);
        return ms;
      },
      ...(close === undefined ? {} : { close }),
    });
  };
  for (const threads of THREADS) {
    const trainer = await resnetTrainer({ threads, epochs: ROUNDS, steps: WARM_UP + STEPS });
    add(
      "kofn",
      threads,
      async () => median((await trainer.epoch()).slice(WARM_UP)),
      () => trainer.close(),
    );
    if (pytorch !== undefined) {
      add("pytorch", threads, () => pytorch.stepMs(NETWORK, RESNET_BATCH, threads, STEPS));
    }
  }
  await takeTurns(NETWORK, contenders, { rounds: ROUNDS, seconds: SECONDS });
  return series;
}

/**
 * @param {readonly Series[]} kofn
 * @param {readonly Series[]} peer empty without PyTorch
 * @param {{ kofn: number, pytorch: number | undefined }} peaks MiB
 */
function judge(kofn, peer, peaks) {
  if (peer.length === 0 || peaks.pytorch === undefined) return [];
  const [own, other] = [fastest(kofn), fastest(peer)];
  const what = `PyTorch's time (${other.threads} thr.) over kofn's (${own.threads})`;
  return [
    speedTarget(what, other.rounds, own.rounds, SPEED_TARGET),
    speedTarget(`${what}, the least`, other.rounds, own.rounds, LEAST_SPEED),
    costTarget("kofn's peak memory over PyTorch's", [peaks.kofn], [peaks.pytorch], MEMORY_TARGET),
  ];
}

/**
 * @param {readonly Series[]} candidates at least one
 * @returns {Series}
 */
function fastest(candidates) {
  return candidates.reduce((best, one) => (median(one.rounds) < median(best.rounds) ? one : best));
}
