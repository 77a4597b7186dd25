/** `npm run bench -- runtime`: @kofn/runtime beside onnxruntime on the same pruned networks: one thread each, batch 1. */

import { kernels, weights, zoo } from "kofn";
import { packedNetwork } from "./support/packed.js";
import { takeTurns, timeRuns } from "./support/rounds.js";
import { ENGINES, openKofn, openPeers } from "./support/runners.js";
import { median, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";
import { speedTarget, targetList } from "./support/targets.js";

const WARM_UP = 10;
const RUNS = 100;
const LIMITS = { rounds: 9, seconds: 60 };

/**
 * @typedef {import("./support/runners.js").EngineName} EngineName
 *
 * @typedef {object} Subject a pruned network
 * @property {string} name
 * @property {() => import("kofn").Model} model
 * @property {import("kofn").PruneSpec} prune
 * @property {Partial<Record<EngineName, number>>} least how many times as fast as these kofn should be
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {Record<EngineName, number[]>} rounds medians of runs, in milliseconds
 * @property {Record<EngineName, number>} loadMs
 * @property {number} fileBytes
 * @property {number} memoryBytes of kofn's network
 */

/** @type {readonly Subject[]} */
const SUBJECTS = [
  {
    name: "resnet-20, 10 % of weights",
    model: zoo.resnet20,
    prune: { "*": weights({ keep: 0.1 }) },
    least: { "onnxruntime-web": 5, "onnxruntime-node": 1.2 },
  },
  {
    name: "resnet-20, 5 % of weights",
    model: zoo.resnet20,
    prune: { "*": weights({ keep: 0.05 }) },
    least: { "onnxruntime-web": 8, "onnxruntime-node": 2 },
  },
  {
    name: "resnet-20, 10 % of kernels",
    model: zoo.resnet20,
    prune: { "layer*": kernels({ keep: 0.1 }) },
    least: { "onnxruntime-web": 4 },
  },
  {
    name: "vgg-16-bn, 5 % of weights",
    model: zoo.vgg16bn,
    prune: { "*": weights({ keep: 0.05 }) },
    least: { "onnxruntime-web": 8, "onnxruntime-node": 1.5 },
  },
  {
    name: "lenet-5, 5 % of weights",
    model: zoo.lenet5,
    prune: { "*": weights({ keep: 0.05 }) },
    least: { "onnxruntime-node": 5 },
  },
  {
    name: "lenet-300-100, 5 % of weights",
    model: zoo.lenet300100,
    prune: { "*": weights({ keep: 0.05 }) },
    least: { "onnxruntime-node": 5 },
  },
  { name: "resnet-20, dense", model: zoo.resnet20, prune: {}, least: {} },
];

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchRuntime() {
  /** @type {Result[]} */
  const results = [];
  for (const subject of SUBJECTS) results.push(await measure(subject));
  const targets = SUBJECTS.flatMap(({ name, least }, i) => {
    const { rounds } = results[i];
    return ENGINES.flatMap((who) => {
      const limit = least[who];
      return limit === undefined
        ? []
        : [speedTarget(`${name}, over ${who}`, rounds[who], rounds.kofn, limit)];
    });
  });
  const text = [
    `Milliseconds of one run at batch 1, one thread each: median [quartiles; best] over rounds of the median of ${RUNS} runs each; ` +
      "the contenders take turns within a round. Weights and masks are random.",
    "",
    table(
      ["network", ...ENGINES, "over node", "over web"],
      results.map(({ name, rounds }) => [
        name,
        ...ENGINES.map((who) => spread(summarise(rounds[who]))),
        compared(rounds["onnxruntime-node"], rounds.kofn),
        compared(rounds["onnxruntime-web"], rounds.kofn),
      ]),
    ),
    "",
    table(
      ["network", ".kofn file, kB", "memory, kB", ...ENGINES.map((who) => `${who}: load, ms`)],
      results.map(({ name, fileBytes, memoryBytes, loadMs }) => [
        name,
        digits(fileBytes / 1000),
        digits(memoryBytes / 1000),
        ...ENGINES.map((who) => digits(loadMs[who])),
      ]),
    ),
    "",
    "Targets (met if both the median and the best rounds meet them):",
    "",
    targetList(targets),
  ].join("\n");
  return { text, data: { runsPerRound: RUNS, results, targets } };
}

/**
 * @param {readonly number[]} peer
 * @param {readonly number[]} own
 * @returns {string}
 */
function compared(peer, own) {
  const ratio = Math.min(...peer) / Math.min(...own);
  return `${digits(ratio)}x${ratio < 1 ? ", slower" : ""}`;
}

/**
 * @param {Subject} subject
 * @returns {Promise<Result>}
 */
async function measure({ name, model, prune }) {
  const contents = packedNetwork(model(), prune, "float32");
  const own = await openKofn(contents);
  const { info } = own.net;
  const opened = [own, ...(await openPeers(contents, own.net))];
  /** @type {Result} */
  const result = {
    name,
    rounds: { kofn: [], "onnxruntime-node": [], "onnxruntime-web": [] },
    loadMs: { kofn: NaN, "onnxruntime-node": NaN, "onnxruntime-web": NaN },
    fileBytes: info.bytes.file,
    memoryBytes: info.bytes.memory,
  };
  const contenders = opened.map(({ runner, loadMs }) => {
    const { engine } = runner;
    result.loadMs[engine] = loadMs;
    return {
      name: engine,
      round: async () => {
        const ms = median(await timeRuns(() => runner.run(), { warmUp: WARM_UP, runs: RUNS }));
        result.rounds[engine].push(ms);
        return ms;
      },
      close: () => runner.close(),
    };
  });
  await takeTurns(name, contenders, LIMITS);
  return result;
}
