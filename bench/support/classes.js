/** What classes models say the test images of a data set are, and other values that they compute on the way. */

import { chooseNormalization } from "kofn";
import { internals } from "./internals.js";

const { BatchFiller, sequentialOrder } = await internals.batches();
const { BatchLoader } = await internals.loader();
const { Engine } = await internals.engine();
const { checkInterface } = await internals.interface();

/** Images at a time. */
const BATCH = 250;

/** @typedef {import("kofn").Dataset} Dataset */
/** @typedef {import("kofn").Model} Model */

/**
 * The class of each test image, as onnxruntime computes it.
 *
 * @param {Model} model
 * @param {Dataset} data
 */
export async function classesOf(model, data) {
  const classes = new Uint8Array(data.test.count);
  await runSideBySide([model], data, [], (start, filled, [{ logits }]) => {
    classes.set(largest(logits, filled), start);
  });
  return classes;
}

/**
 * The share of images for which two lists have the same class.
 *
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export function agreementOf(a, b) {
  return a.filter((one, i) => one === b[i]).length / a.length;
}

/**
 * @param {Float32Array} logits
 * @param {number} count of images
 */
export function largest(logits, count) {
  const width = logits.length / BATCH;
  return Uint8Array.from({ length: count }, (_, i) => {
    let best = 0;
    for (let c = 1; c < width; c++) if (logits[i * width + c] > logits[i * width + best]) best = c;
    return best;
  });
}

/**
 * Runs models on the test images, batch by batch.
 *
 * @param {readonly Model[]} models
 * @param {Dataset} data
 * @param {readonly string[]} codes names of uint8 values of all models that are wanted besides the logits
 * @param {(start: number, filled: number, results: readonly { logits: Float32Array, codes: readonly Uint8Array[] }[]) => void} visit
 */
export async function runSideBySide(models, data, codes, visit) {
  const engine = await Engine.open();
  const { normalization } = await chooseNormalization(models[0], data, {});
  const runners = await Promise.all(
    models.map(async (model) => {
      const { model: view, input, output, dims } = checkInterface(model, data);
      const wanted = codes.map((name) => {
        return { name, type: /** @type {const} */ ({ dtype: "uint8", shape: undefined }) };
      });
      const graph = { ...view.graph, outputs: [...view.graph.outputs, ...wanted] };
      return { session: await engine.session({ ...view, graph }), input, output, dims };
    }),
  );
  const loader = new BatchLoader(data.test, data, new BatchFiller(data, normalization));
  const [{ dims }] = runners;
  const pixels = new Float32Array(BATCH * dims.reduce((size, dim) => size * dim, 1));
  const order = sequentialOrder(data.test.count);
  for (let start = 0; start < order.length; start += BATCH) {
    const filled = await loader.load(order, start, 0, pixels, new BigInt64Array(BATCH));
    const results = [];
    for (const { session, input, output } of runners) {
      const images = engine.value("float32", [BATCH, ...dims], pixels);
      const wanted = Object.fromEntries([output, ...codes].map((name) => [name, null]));
      const made = await session.run({ [input]: images }, wanted);
      results.push({
        logits: /** @type {Float32Array} */ (made[output].data),
        codes: codes.map((name) => /** @type {Uint8Array} */ (made[name].data)),
      });
    }
    visit(start, filled, results);
  }
  await loader.close();
  await Promise.all(runners.map(({ session }) => session.close()));
}
