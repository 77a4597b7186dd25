/** `npm run bench -- runtime`: @kofn/runtime beside onnxruntime on the same pruned networks: one thread each, batch 1. */

import { kofnRunner, onnxRunner, PEERS } from "../packages/kofn/dist/bench/engines.js";
import { timeRuns } from "../packages/kofn/dist/bench/rounds.js";
import { median, summarise } from "../packages/kofn/dist/bench/statistics.js";
import { zoo } from "../packages/kofn/dist/models/zoo.js";
import { sizeOf, tensor } from "../packages/kofn/dist/onnx/tensor.js";
import { prunedContents } from "../packages/kofn/dist/pack/contents.js";
import { encodeKofn } from "../packages/kofn/dist/pack/file.js";
import { NO_CONFIG } from "../packages/kofn/dist/pack/info-section.js";
import { maskedModel, maskOfLogits, masksOfWeights } from "../packages/kofn/dist/prune/apply.js";
import { planPrune } from "../packages/kofn/dist/prune/plan.js";
import { kernels, weights } from "../packages/kofn/dist/prune/spec.js";
import { Random } from "../packages/kofn/dist/random.js";
import { load } from "../packages/runtime/dist/index.js";
import { takeTurns } from "./support/rounds.js";
import { digits, spread, table } from "./support/table.js";
import { speedTarget, targetList } from "./support/targets.js";

const WARM_UP = 10;
const RUNS = 100;
const LIMITS = { rounds: 9, seconds: 60 };
const WHO = /** @type {const} */ (["kofn", "onnxruntime-node", "onnxruntime-web"]);

/**
 * @typedef {(typeof WHO)[number]} Who
 * @typedef {import("../packages/kofn/dist/pack/types.js").KofnContents} Contents
 *
 * @typedef {object} Subject a pruned network
 * @property {string} name
 * @property {() => import("../packages/kofn/dist/onnx/model.js").Model} model
 * @property {import("../packages/kofn/dist/prune/types.js").PruneSpec} prune
 * @property {Partial<Record<Who, number>>} least how many times as fast as these kofn should be
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {Record<Who, number[]>} rounds medians of runs, in milliseconds
 * @property {Record<Who, number>} loadMs
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
    return WHO.flatMap((who) => {
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
      ["network", ...WHO, "over node", "over web"],
      results.map(({ name, rounds }) => [
        name,
        ...WHO.map((who) => spread(summarise(rounds[who]))),
        compared(rounds["onnxruntime-node"], rounds.kofn),
        compared(rounds["onnxruntime-web"], rounds.kofn),
      ]),
    ),
    "",
    table(
      ["network", ".kofn file, kB", "memory, kB", ...WHO.map((who) => `${who}: load, ms`)],
      results.map(({ name, fileBytes, memoryBytes, loadMs }) => [
        name,
        digits(fileBytes / 1000),
        digits(memoryBytes / 1000),
        ...WHO.map((who) => digits(loadMs[who])),
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
  const contents = randomlyPruned(model(), prune);
  const { bytes } = encodeKofn(contents);
  const { graph } = contents.model;
  const batch = randomBatch(graph);
  const names = { input: graph.inputs[0].name, output: graph.outputs[0].name };
  const begin = performance.now();
  const net = await load(bytes);
  const runners = [kofnRunner(net, batch)];
  const loadMs = [performance.now() - begin];
  for (const peer of PEERS) {
    const start = performance.now();
    runners.push(await onnxRunner(peer, contents.model, names, batch, 1));
    loadMs.push(performance.now() - start);
  }
  /** @type {Result} */
  const result = {
    name,
    rounds: { kofn: [], "onnxruntime-node": [], "onnxruntime-web": [] },
    loadMs: { kofn: loadMs[0], "onnxruntime-node": loadMs[1], "onnxruntime-web": loadMs[2] },
    fileBytes: bytes.length,
    memoryBytes: net.info.bytes.memory,
  };
  const contenders = runners.map((runner) => ({
    name: runner.engine,
    round: async () => {
      const ms = median(await timeRuns(() => runner.run(), { warmUp: WARM_UP, runs: RUNS }));
      result.rounds[runner.engine].push(ms);
      return ms;
    },
    close: () => runner.close(),
  }));
  await takeTurns(name, contenders, LIMITS);
  return result;
}

/**
 * A sample of random numbers.
 *
 * @param {import("../packages/kofn/dist/onnx/model.js").Graph} graph
 * @returns {import("../packages/kofn/dist/bench/engines.js").Batch}
 */
function randomBatch({ inputs }) {
  const [, ...sample] = inputs[0].type?.shape ?? [];
  const dims = [1, ...sample.map(Number)];
  const random = new Random(1, "bench");
  return { dims, values: Float32Array.from({ length: sizeOf(dims) }, () => random.uniform() - 0.5) };
}

/**
 * @param {import("../packages/kofn/dist/onnx/model.js").Model} model
 * @param {import("../packages/kofn/dist/prune/types.js").PruneSpec} prune
 * @returns {Contents}
 */
function randomlyPruned(model, prune) {
  const random = new Random(1, "bench/masks");
  const masks = planPrune(model.graph, prune).map((layer) =>
    maskOfLogits(
      layer,
      Float32Array.from({ length: layer.groups * layer.n }, () => random.uniform()),
    ),
  );
  const members = masks.flatMap(masksOfWeights);
  return prunedContents(
    {
      model: maskedModel(model, new Map(), masks),
      masks: new Map(members.map(({ layer, mask }) => [layer.weight, tensor("uint8", layer.dims, mask)])),
      layers: members.map(({ layer }) => layer),
      quantization: { weights: [], activations: [] },
    },
    { kofn: "bench", data: "", seed: 1, config: NO_CONFIG },
    [],
  );
}
