/** `npm run bench -- digests`: the SHA-256 digests of what short runs leave, and whether they are those of another checkout. */

import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "kofn";
import { digestCases } from "./support/digest-cases.js";
import { machineFacts } from "./support/machine.js";
import { messageOf } from "./support/process.js";
import { say } from "./support/progress.js";
import { table } from "./support/table.js";

/** @typedef {import("./support/digest-runs.js").Digests} Digests */
/** @typedef {import("./support/machine.js").Machine} Machine */

/**
 * What a file of digests holds.
 *
 * @typedef {object} Recorded
 * @property {Machine} machine
 * @property {Record<string, Digests>} digests by the names of the runs
 */

/** Columns of the table; files have more. */
const SHOWN = [
  "model.onnx",
  "masks.safetensors",
  "quantization.safetensors",
  "model.quantized.onnx",
  "checkpoint",
];
/** Hexadecimal digits of a digest in the table. */
const DIGITS = 12;

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>} with exit code 1 if digests are others than those to compare with
 */
export async function benchDigests({ out, against, only }) {
  const before = against === undefined ? undefined : readRecorded(against);
  if (out !== undefined) checkWritable(out);
  const digests = await digestsOfRuns(only);
  const machine = machineFacts();
  if (out !== undefined) writeFileSync(out, `${JSON.stringify({ bench: "digests", machine, digests })}\n`);
  const lines = [
    `The first ${DIGITS} digits of SHA-256 digests of what ${Object.keys(digests).length} short runs leave:`,
    "",
    table(
      ["run", ...SHOWN],
      Object.entries(digests).map(([name, own]) => [
        name,
        ...SHOWN.map((file) => own[file]?.slice(0, DIGITS) ?? ""),
      ]),
    ),
  ];
  if (before === undefined) return { text: lines.join("\n"), data: { digests } };
  const differ = differences(before.digests, digests, only);
  if (differ.length === 0) lines.push("", `They are all as in ${against}.`);
  else {
    lines.push("", `NOT AS IN ${against}:`, "", ...differ.map((line) => `- ${line}`));
    lines.push(...otherMachine(before.machine, machine));
  }
  return { text: lines.join("\n"), data: { digests, differ }, exitCode: differ.length === 0 ? 0 : 1 };
}

/**
 * @param {string | undefined} only
 * @returns {Promise<Record<string, Digests>>} by the names of the runs
 */
async function digestsOfRuns(only) {
  const { runs, missing } = digestCases();
  const chosen = Object.entries(runs).filter(([name]) => isChosen(name, only));
  if (chosen.length === 0) throw new InputError(`--only "${only ?? ""}": no run has this in its name`);
  if (missing !== undefined) say(`WITHOUT THE RUNS OF FIXTURES: ${missing} is absent`);
  /** @type {Record<string, Digests>} */
  const digests = {};
  const folder = mkdtempSync(join(tmpdir(), "kofn-bench-"));
  try {
    for (const [i, [name, run]] of chosen.entries()) {
      say(`${i + 1}/${chosen.length} ${name}`);
      const own = join(folder, `${i}`);
      digests[name] = await run(own);
      rmSync(own, { recursive: true });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return digests;
}

/**
 * @param {string} name
 * @param {string | undefined} only
 */
function isChosen(name, only) {
  return only === undefined || name.includes(only);
}

/**
 * @param {string} path
 * @returns {Recorded}
 * @throws InputError if the file can't be read or is no such file
 */
function readRecorded(path) {
  try {
    const recorded = JSON.parse(readFileSync(path, "utf8"));
    if (typeof recorded?.digests === "object") return recorded;
  } catch (error) {
    throw new InputError(`--against ${path}: can't read it: ${messageOf(error)}`, { cause: error });
  }
  throw new InputError(`--against ${path}: expected a file that \`digests --out\` has written`);
}

/**
 * @param {string} path
 * @throws InputError if nothing can be written there
 */
function checkWritable(path) {
  try {
    appendFileSync(path, "");
  } catch (error) {
    throw new InputError(`--out ${path}: can't write it: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * @param {Readonly<Record<string, Digests>>} before
 * @param {Readonly<Record<string, Digests>>} now
 * @param {string | undefined} only
 * @returns {string[]} a line for each run that has others
 */
function differences(before, now, only) {
  const names = new Set([...Object.keys(before).filter((name) => isChosen(name, only)), ...Object.keys(now)]);
  return [...names].flatMap((name) => {
    if (!Object.hasOwn(now, name)) return [`${name}: was not run here`];
    if (!Object.hasOwn(before, name)) return [`${name}: is not in the file`];
    const files = new Set([...Object.keys(before[name]), ...Object.keys(now[name])]);
    const differ = [...files].filter((file) => before[name][file] !== now[name][file]);
    return differ.length === 0 ? [] : [`${name}: ${differ.join(", ")}`];
  });
}

/**
 * @param {Machine} there where the file was written
 * @param {Machine} here
 * @returns {string[]} a note if they are different: digests depend on the kernels that onnxruntime chooses
 */
function otherMachine(there, here) {
  const facts = (/** @type {Machine} */ { cpu, vectors, arch, node, onnxruntime }) =>
    `${cpu} (${arch}, ${vectors.join(" ")}), Node ${node}, onnxruntime ${onnxruntime}`;
  if (facts(there) === facts(here)) return [];
  return [
    "",
    `It is of another machine (${facts(there)}; here ${facts(here)}), where digests may be others.`,
  ];
}
