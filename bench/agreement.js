/** Compares the float simulation of a quantized run to its integer export on the test images: classes, and codes layer by layer. */

import {
  calibrateResults,
  exportQuantized,
  fusedKernels,
  InputError,
  loadDataset,
  loadModel,
  readRun,
  simulateQuantized,
} from "kofn";
import { largest, runSideBySide } from "./support/classes.js";
import { internals } from "./support/internals.js";
import { say } from "./support/progress.js";
import { table } from "./support/table.js";

/** @typedef {import("kofn").Dataset} Dataset */
/** @typedef {import("kofn").Model} Model */

const { bareModel } = await internals.bareModel();

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchAgreement({ runs, "data-dir": dir }) {
  if (runs === undefined || dir === undefined) {
    throw new InputError(
      "the bench agreement needs --runs DIR, the directory of one run with quantized weights and uint8 activations, and --data-dir DIR with its data set",
    );
  }
  const { quantization: trained, maskedPath, report } = await readRun(runs);
  const data = await loadDataset(report.data.name, { dir });
  const { model, quantization } = bareModel(await loadModel(maskedPath), trained);
  const variants = {
    "as trained": quantization,
    "--calibrate mse": await calibrateResults(model, data, quantization),
  };
  const rows = [];
  for (const [name, one] of Object.entries(variants)) {
    const exported = exportQuantized(model, one);
    const kernels = await fusedKernels(exported);
    const found = await compare(simulateQuantized(model, one), exported.model, data);
    rows.push({ name, integers: kernels.filter(({ op }) => op !== undefined).length, ...found });
    say(`${name}: done`);
  }
  const text = [
    `${report.model} on the ${data.test.count} test images of ${data.name}: float simulation beside the export in integers.`,
    "",
    table(
      ["export", "integer layers", "the same class", "right, simulated", "right, in integers"],
      rows.map(({ name, integers, same, right }) => [
        name,
        `${integers}`,
        ...[same, ...right].map((share) => `${(100 * share).toFixed(2)} %`),
      ]),
    ),
    "",
    "Codes that differ, in millionths, in the order of the graph:",
    "",
    ...rows.map(({ name, codes }) => `- ${name}: ${codes.map(({ differ }) => differ.toFixed(1)).join(", ")}`),
  ].join("\n");
  return { text, data: { rows } };
}

/**
 * @param {Model} simulated
 * @param {Model} exported
 * @param {Dataset} data
 */
async function compare(simulated, exported, data) {
  /** @param {Model} model */
  const quantizersOf = ({ graph }) =>
    graph.nodes.filter(({ op }) => op === "QuantizeLinear").map(({ outputs }) => outputs[0]);
  const others = new Set(quantizersOf(exported));
  const names = quantizersOf(simulated).filter((name) => others.has(name));
  const differ = new Float64Array(names.length);
  const all = new Float64Array(names.length);
  const { count, labels } = data.test;
  let same = 0;
  const right = [0, 0];
  await runSideBySide([simulated, exported], data, names, (start, filled, results) => {
    const [own, other] = results.map(({ logits }) => largest(logits, filled));
    for (let i = 0; i < filled; i++) {
      if (own[i] === other[i]) same++;
      if (own[i] === labels[start + i]) right[0]++;
      if (other[i] === labels[start + i]) right[1]++;
    }
    names.forEach((_, at) => {
      const [a, b] = results.map(({ codes }) => codes[at]);
      for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) differ[at]++;
      all[at] += a.length;
    });
  });
  const codes = names.map((name, at) => ({ name, differ: (1e6 * differ[at]) / all[at] }));
  return { same: same / count, right: right.map((number) => number / count), codes };
}
