/** Compares weights of few bits that were trained together with masks to those quantized after training, on MNIST. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { calibrate, evaluateModel, exportQuantized, InputError, loadDataset, loadModel, readRun } from "kofn";
import { agreementOf, classesOf } from "./support/classes.js";
import { run } from "./support/process.js";
import { say } from "./support/progress.js";
import { table } from "./support/table.js";

const KOFN = fileURLToPath(new URL("../packages/kofn/bin/kofn.js", import.meta.url));
const SEEDS = [1, 2, 3];
const FLOAT = "float";

/** @type {readonly import("kofn").CalibrationMethod[]} */
const METHODS = ["minmax", "percentile", "mse"];

/** @typedef {import("kofn").WeightFormat} WeightFormat */

/** @type {Readonly<Record<string, { readonly formats: readonly WeightFormat[], readonly options: readonly string[] }>>} */
const RECIPES = {
  "lenet-300-100": {
    formats: ["int8", "int4", "int3", "ternary", "binary"],
    options: [
      ...["--prune", "fc1=weights:40", "--prune", "fc2=weights:30", "--prune", "fc3=none"],
      ...["--epochs", "20"],
    ],
  },
  "lenet-5": {
    formats: ["int8", "int4", "binary"],
    options: [
      ...["--prune", "conv2=weights:50", "--prune", "fc1=weights:32", "--prune", "fc2=weights:100"],
      ...["--epochs", "15"],
    ],
  },
};

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchQuantize({ runs, "data-dir": dir, model: name = "lenet-300-100" }) {
  if (runs === undefined || dir === undefined) {
    throw new InputError(
      "the bench quantize needs --runs DIR, for its runs (those that are there are read), and --data-dir DIR with MNIST",
    );
  }
  if (!Object.hasOwn(RECIPES, name)) {
    throw new InputError(
      `the bench quantize takes --model ${Object.keys(RECIPES).join(" or ")}, got "${name}"`,
    );
  }
  const { formats, options } = RECIPES[name];
  const recipe = [name, "--data", "mnist", ...options];
  for (const format of [FLOAT, ...formats])
    for (const seed of SEEDS) await trained(join(runs, `${format}-${seed}`), recipe, format, seed, dir);
  const data = await loadDataset("mnist", { dir });
  /** @type {{ format: string, joint: number[], agreement: number[], after: Record<string, number[]> }[]} */
  const rows = [];
  for (const format of formats) {
    const joint = [];
    const agreement = [];
    /** @type {Record<string, number[]>} */
    const after = Object.fromEntries(METHODS.map((method) => [method, []]));
    for (const seed of SEEDS) {
      const folder = join(runs, `${format}-${seed}`);
      joint.push(await errorOf(folder));
      const [own, exported] = [(await readRun(folder)).modelPath, join(folder, "model.quantized.onnx")];
      const [one, other] = [await loadModel(own), await loadModel(exported)];
      agreement.push(agreementOf(await classesOf(one, data), await classesOf(other, data)));
      const { modelPath } = await readRun(join(runs, `${FLOAT}-${seed}`));
      const float = await loadModel(modelPath);
      for (const method of METHODS) {
        const quantization = await calibrate(float, undefined, { quantize: { "*": { format } }, method });
        const { model } = exportQuantized(float, quantization);
        after[method].push(1 - (await evaluateModel(model, data.test, data)).accuracy);
      }
    }
    rows.push({ format, joint, agreement, after });
    say(`${format}: done`);
  }
  const float = await Promise.all(SEEDS.map((seed) => errorOf(join(runs, `${FLOAT}-${seed}`))));
  const text = [
    `Test error in per cent, mean over the seeds ${SEEDS.join(", ")} (each in brackets): weights trained in the format together with their`,
    `masks, and those of the float run quantized after training. Float: ${errors(float)}. Agreement: on how many of the test images`,
    "model.onnx and model.quantized.onnx of a run say the same class, in the run where that is least.",
    "",
    table(
      ["weights", "joint", ...METHODS.map((method) => `after, ${method}`), "agreement"],
      rows.map(({ format, joint, agreement, after }) => [
        format,
        errors(joint),
        ...METHODS.map((method) => errors(after[method])),
        `${(100 * Math.min(...agreement)).toFixed(2)} %`,
      ]),
    ),
    "",
    `    kofn train ${recipe.join(" ")} --quantize '*=FORMAT' --seed SEED`,
  ].join("\n");
  return { text, data: { seeds: SEEDS, float, rows } };
}

/**
 * Trains a run if it is not there.
 *
 * @param {string} folder
 * @param {readonly string[]} recipe
 * @param {string} format
 * @param {number} seed
 * @param {string} dir
 */
async function trained(folder, recipe, format, seed, dir) {
  if (existsSync(join(folder, "report.json"))) return;
  say(`training ${folder}`);
  const quantize = format === FLOAT ? [] : ["--quantize", `*=${format}`];
  const place = ["--data-dir", dir, "--seed", `${seed}`, "--out", folder, "--overwrite"];
  await run(process.execPath, [KOFN, "train", ...recipe, ...quantize, ...place]);
}

/** @param {string} folder */
async function errorOf(folder) {
  return 1 - (await readRun(folder)).report.result.test.accuracy;
}

/** @param {readonly number[]} values */
function errors(values) {
  /** @param {number} value */
  const percent = (value) => (100 * value).toFixed(2);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `${percent(mean)} (${values.map(percent).join(", ")})`;
}
