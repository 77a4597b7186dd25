/** Times the k-of-n sampler, forward and backward, in turns with its published O(k n) formulation. */

import { findPeers, Peers } from "./support/peers.js";
import { say, withoutPeers } from "./support/progress.js";
import { takeTurns } from "./support/rounds.js";
import { Sampler } from "./support/sampler.js";
import { median, pairedRatio, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";
import { costTarget, speedTarget, targetList } from "./support/targets.js";

/** @typedef {import("./support/peers.js").SamplerSize} SamplerSize */
/** @typedef {import("./support/targets.js").Target} Target */

const ROUNDS = 5;
/** For the rounds. */
const SECONDS = 45;
/** For those of the growth table. */
const GROWTH_SECONDS = 20;
/** Of a round. */
const RUNS = 20;
/** At the start of a round, not counted: 0.1 s or more, as a core that has waited for a peer is slow for a while. */
const WARM_UP = 100;
const THREADS = [1, 2];

const FEW = { rows: 500, n: 800, k: 25 };
const MANY = { rows: 500, n: 800, k: 200 };

/** How many times faster than the published formulation at FEW. */
const SPEED_TARGET = 20;
/** How many times the time at FEW the time at MANY may be. */
const GROWTH_TARGET = 1.5;

/** @type {readonly SamplerSize[]} */
const GROWTH = [
  ...[125, 250, 500, 1000, 2000].map((rows) => ({ rows, n: 800, k: 25 })),
  ...[200, 400, 800, 1600, 3200].map((n) => ({ rows: 500, n, k: 25 })),
  ...[1, 25, 50, 100, 200, 400, 799].map((k) => ({ rows: 500, n: 800, k })),
];

/**
 * @typedef {object} Series
 * @property {"kofn" | "published"} who
 * @property {SamplerSize} size
 * @property {number} threads
 * @property {number[]} rounds milliseconds: each round's median run
 * @property {number[]} draws milliseconds of them for noise and draws; kofn's alone
 * @property {number[][]} runs milliseconds of every run; kofn's alone
 */

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchSampler() {
  const peers = await findPeers();
  const pytorch = peers instanceof Peers ? peers : undefined;
  if (!(peers instanceof Peers)) say(`NO COMPARISON WITH THE PUBLISHED FORMULATION: ${peers.missing}`);
  const series = await measure(pytorch);
  const growth = await measureGrowth();
  const targets = judge(series);
  /** @type {{ inputsMs: number, manyMs: number } | undefined} */
  let published;
  if (pytorch !== undefined) {
    const [, threads] = THREADS;
    const inputsMs = await pytorch.samplerInputsMs(FEW, threads);
    say("published formulation at k = 200, once");
    published = { inputsMs, manyMs: await pytorch.samplerMs(MANY, threads) };
  }
  const heading = peers instanceof Peers ? [] : [withoutPeers(peers.missing), ""];
  const text = [
    ...heading,
    `Milliseconds of one forward and backward at R = ${FEW.rows}, n = ${FEW.n}, noise and draws included: median [quartiles; best]` +
      ` over ${series[0].rounds.length} rounds of the median of ${RUNS} runs (published: of 5); the contenders take turns within a round.`,
    "",
    resultTable(series),
    "",
    ...(published === undefined
      ? []
      : [
          `The published formulation at k = ${MANY.k} took ${digits(published.manyMs)} ms (2 threads, 5 runs, once). Its program also` +
            ` draws logits and upstream gradient in each run: ${digits(published.inputsMs)} ms of its time.`,
          "",
        ]),
    "Targets, each side at its best number of threads (met if both the median and the best rounds meet them):",
    "",
    targetList(targets),
    "",
    "Growth: milliseconds of one forward and backward on 1 thread:",
    "",
    growthTable(growth),
  ].join("\n");
  return {
    text,
    data: { runsPerRound: RUNS, pytorch: pytorch?.version ?? null, series, published, growth, targets },
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
  for (const size of [FEW, MANY]) {
    const own = newSeries("kofn", size, 1);
    series.push(own);
    contenders.push(samplerContender(`kofn k=${size.k}`, own));
  }
  if (pytorch !== undefined) {
    for (const threads of THREADS) {
      const own = newSeries("published", FEW, threads);
      series.push(own);
      contenders.push({
        name: `published k=${FEW.k} x${threads}`,
        round: async () => recorded(own, await pytorch.samplerMs(FEW, threads)),
      });
    }
  }
  await takeTurns("sampler", contenders, { rounds: ROUNDS, seconds: SECONDS });
  return series;
}

/**
 * @param {string} name
 * @param {Series} series where its times go
 * @returns {import("./support/internals.js").Contender}
 */
function samplerContender(name, series) {
  const sampler = new Sampler(series.size);
  const round = () => {
    const { total, draws } = timed(sampler);
    series.runs.push(total);
    series.draws.push(median(draws));
    return Promise.resolve(recorded(series, median(total)));
  };
  return { name, round };
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
 * @param {Sampler} sampler
 * @returns {{ total: number[], draws: number[] }}
 */
function timed(sampler) {
  for (let i = 0; i < WARM_UP; i++) sampler.run();
  /** @type {number[]} */
  const total = [];
  /** @type {number[]} */
  const draws = [];
  for (let i = 0; i < RUNS; i++) {
    const run = sampler.run();
    total.push(run.total);
    draws.push(run.draws);
  }
  return { total, draws };
}

/** @returns {Promise<Series[]>} */
async function measureGrowth() {
  const series = GROWTH.map((size) => newSeries("kofn", size, 1));
  /** @type {import("./support/internals.js").Contender[]} */
  const contenders = [];
  for (const own of series) {
    const { rows, n, k } = own.size;
    contenders.push(samplerContender(`R=${rows} n=${n} k=${k}`, own));
  }
  await takeTurns("growth", contenders, { rounds: ROUNDS, seconds: GROWTH_SECONDS });
  return series;
}

/**
 * @param {Series["who"]} who
 * @param {SamplerSize} size
 * @param {number} threads
 * @returns {Series}
 */
function newSeries(who, size, threads) {
  return { who, size, threads, rounds: [], draws: [], runs: [] };
}

/**
 * @param {readonly Series[]} series
 * @param {Series["who"]} who
 * @param {SamplerSize} size
 * @returns {Series | undefined} at the number of threads that is best for it
 */
function fastest(series, who, size) {
  return series
    .filter((one) => one.who === who && one.size === size)
    .sort((a, b) => median(a.rounds) - median(b.rounds))
    .at(0);
}

/**
 * @param {readonly Series[]} series
 * @returns {Target[]}
 */
function judge(series) {
  const few = fastest(series, "kofn", FEW);
  const many = fastest(series, "kofn", MANY);
  const published = fastest(series, "published", FEW);
  /** @type {Target[]} */
  const targets = [];
  if (few !== undefined && published !== undefined) {
    const what = `k = ${FEW.k}, the published formulation's time (${published.threads} thr.) over kofn's (${few.threads})`;
    targets.push(speedTarget(what, published.rounds, few.rounds, SPEED_TARGET));
  }
  if (few !== undefined && many !== undefined) {
    const what = `k = ${MANY.k} over k = ${FEW.k}, kofn`;
    targets.push(costTarget(what, many.rounds, few.rounds, GROWTH_TARGET));
  }
  return targets;
}

/**
 * @param {readonly Series[]} series
 * @returns {string}
 */
function resultTable(series) {
  const rows = series.map(({ who, size, threads, rounds, draws }) => {
    const published = fastest(series, "published", size);
    const speed =
      who === "kofn" && published !== undefined ? digits(pairedRatio(published.rounds, rounds).median) : "";
    return [
      who,
      `${size.k}`,
      `${threads}`,
      spread(summarise(rounds)),
      draws.length === 0 ? "" : digits(median(draws)),
      speed === "" ? "" : `${speed}x`,
    ];
  });
  return table(["sampler", "k", "threads", "ms", "of which noise and draws", "published / kofn"], rows);
}

/**
 * @param {readonly Series[]} growth
 * @returns {string}
 */
function growthTable(growth) {
  return table(
    ["R", "n", "k", "ms", "of which noise and draws", "ns per unit (R n), at best"],
    growth.map(({ size: { rows, n, k }, rounds, draws }) => [
      `${rows}`,
      `${n}`,
      `${k}`,
      spread(summarise(rounds)),
      digits(median(draws)),
      digits((Math.min(...rounds) * 1e6) / (rows * n)),
    ]),
  );
}
