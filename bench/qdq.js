/** Times resnet-20 in onnxruntime-node with int8 weights and uint8 activations, in turns with the float model. */

import { calibrate, exportQuantized, fusedKernels, int8, uint8, zoo } from "kofn";
import { randomImages } from "./support/images.js";
import { internals } from "./support/internals.js";
import { takeTurns } from "./support/rounds.js";
import { interfaceOf } from "./support/runners.js";
import { median, pairedRatio, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";

const { Engine } = await internals.engine();

const NETWORK = "resnet-20";
const THREADS = [1, 2];
const BATCHES = [1, 64];
const ROUNDS = 15;
/** For all rounds of one setting. */
const SECONDS = 20;
/** Images that are run in a round. */
const IMAGES = 128;

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchQdq() {
  const model = zoo.resnet20();
  const data = randomImages({ channels: 3, side: 32, count: 64 });
  const quantize = { "*": int8(), activations: uint8() };
  const exported = exportQuantized(model, await calibrate(model, data, { quantize, normalize: "none" }));
  const kernels = await fusedKernels(exported);
  const series = [];
  for (const threads of THREADS) {
    for (const batch of BATCHES) {
      /** @type {{ float: number[], qdq: number[] }} */
      const rounds = { float: [], qdq: [] };
      const contenders = await Promise.all([
        contender("float", model, batch, threads, rounds.float),
        contender("qdq", exported.model, batch, threads, rounds.qdq),
      ]);
      await takeTurns(`batch ${batch}, ${threads} threads`, contenders, { rounds: ROUNDS, seconds: SECONDS });
      series.push({ threads, batch, ...rounds });
    }
  }
  const integers = kernels.filter(({ op }) => op !== undefined).length;
  const text = [
    `Milliseconds of a run of ${NETWORK} (3x32x32): median [quartiles; best] over rounds, each the median of runs over ${IMAGES} images; the contenders`,
    `take turns. int8 weights and uint8 activations but for the first and the last layer: ${integers} of ${kernels.length} layers multiply integers.`,
    "",
    table(
      ["threads", "batch", "float", "QDQ", "float's time over QDQ's"],
      series.map(({ threads, batch, float, qdq }) => [
        `${threads}`,
        `${batch}`,
        spread(summarise(float)),
        spread(summarise(qdq)),
        `${digits(pairedRatio(float, qdq).median)}x`,
      ]),
    ),
  ].join("\n");
  return { text, data: { kernels, series } };
}

/**
 * @param {string} name
 * @param {import("kofn").Model} model
 * @param {number} batch
 * @param {number} threads
 * @param {number[]} rounds gathers milliseconds
 * @returns {Promise<import("./support/internals.js").Contender>}
 */
async function contender(name, model, batch, threads, rounds) {
  const { input, output, dims } = interfaceOf(model);
  const engine = await Engine.open({ threads });
  const session = await engine.session(model);
  const size = dims.reduce((product, dim) => product * dim, batch);
  const images = engine.value("float32", [batch, ...dims], new Float32Array(size).fill(0.5));
  const once = async () => {
    const begin = performance.now();
    await session.run({ [input]: images }, { [output]: null });
    return performance.now() - begin;
  };
  await once();
  return {
    name,
    round: async () => {
      const times = [];
      for (let i = 0; i < IMAGES / batch; i++) times.push(await once());
      rounds.push(median(times));
      return median(times);
    },
    close: () => session.close(),
  };
}
