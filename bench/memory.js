/** Measures peak resident memory of training and of the sampler, each in a process of its own, beside PyTorch's. */

import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BATCH, MODES, NETWORKS, PRUNE } from "./support/networks.js";
import { findPeers, Peers } from "./support/peers.js";
import { peakMemory } from "./support/process.js";
import { say, withoutPeers } from "./support/progress.js";
import { digits, table } from "./support/table.js";

/** @typedef {import("./support/peers.js").SamplerSize} SamplerSize */

const CHILD = fileURLToPath(new URL("memory-child.js", import.meta.url));
const COMMAND = fileURLToPath(new URL("../packages/kofn/bin/kofn.js", import.meta.url));
const STEPS = 30;
const THREADS = availableParallelism();

/** The published formulation is run at the first two; at the last it would not fit most machines. */
/** @type {readonly SamplerSize[]} */
const COMPARED = [
  { rows: 500, n: 800, k: 25 },
  { rows: 500, n: 800, k: 200 },
];
const LARGE = { rows: 1000, n: 2048, k: 205 };

/** @returns {Promise<import("./run.js").Outcome>} */
export async function benchMemory() {
  const peers = await findPeers();
  const pytorch = peers instanceof Peers ? peers : undefined;
  if (!(peers instanceof Peers)) say(`NO COMPARISON WITH PYTORCH: ${peers.missing}`);

  /** @type {{ what: string, kofn: number, pytorch: number | null }[]} */
  const peaks = [];
  /**
   * @param {string} what
   * @param {Promise<number>} kofn
   * @param {() => Promise<number> | undefined} peer
   */
  const add = async (what, kofn, peer) => {
    const row = { what, kofn: await kofn, pytorch: (await peer()) ?? null };
    peaks.push(row);
    say(`${what}: ${cell(row.kofn)} MiB${row.pytorch === null ? "" : `, peer ${cell(row.pytorch)} MiB`}`);
  };

  await add("the runtime alone, no model", child("idle"), () => pytorch?.idleMemory());
  for (const network of NETWORKS) {
    for (const mode of MODES) {
      const peer = () => (mode === "dense" ? pytorch?.stepMemory(network, BATCH, THREADS, STEPS) : undefined);
      await add(`${network}, ${STEPS} ${mode} steps`, child("train", network, mode, `${STEPS}`), peer);
    }
    await add(`${network}, \`kofn train\`, pruned, glyphs`, wholeRun(network), () => undefined);
  }
  for (const size of COMPARED) {
    await add(sizeText(size), samplerChild(size), () => pytorch?.samplerMemory(size, THREADS));
  }
  await add(sizeText(LARGE), samplerChild(LARGE), () => undefined);

  const tensorGB = (LARGE.rows * LARGE.k * LARGE.n * 4) / 1e9;
  const heading = peers instanceof Peers ? [] : [withoutPeers(peers.missing), ""];
  const text = [
    ...heading,
    `Peak resident memory (VmHWM) in MiB, each in a process of its own, batch ${BATCH}, ${THREADS} threads.` +
      (pytorch === undefined
        ? ""
        : ` PyTorch ${pytorch.version}; beside the sampler, the published formulation.`),
    "",
    table(
      ["what", "kofn", "PyTorch"],
      peaks.map(({ what, kofn, pytorch: peer }) => [what, cell(kofn), peer === null ? "" : cell(peer)]),
    ),
    "",
    `At R = ${LARGE.rows}, n = ${LARGE.n}, k = ${LARGE.k} the published formulation needs ${digits(tensorGB)} GB for each of its several tensors [R, k, n]; it was not run.`,
  ].join("\n");
  return { text, data: { batch: BATCH, threads: THREADS, pytorch: pytorch?.version ?? null, peaks } };
}

/**
 * @param {readonly string[]} args of memory-child.js
 * @returns {Promise<number>} MiB
 */
function child(...args) {
  return peakMemory(process.execPath, [CHILD, ...args]);
}

/** @param {SamplerSize} size */
function samplerChild({ rows, n, k }) {
  return child("sampler", `${rows}`, `${n}`, `${k}`);
}

/** @param {SamplerSize} size */
function sizeText({ rows, n, k }) {
  return `sampler, R = ${rows}, n = ${n}, k = ${k}`;
}

/**
 * One epoch of the command line on the built-in data set, with validation, test and writing the run directory.
 *
 * @param {keyof typeof PRUNE} network
 * @returns {Promise<number>} MiB
 */
async function wholeRun(network) {
  const folder = mkdtempSync(join(tmpdir(), "kofn-bench-"));
  try {
    const prune = PRUNE[network].flatMap((spec) => ["--prune", spec]);
    const out = ["--out", join(folder, "run")];
    const args = [COMMAND, "train", network, "--data", "glyphs", "--epochs", "1", ...prune, ...out];
    return await peakMemory(process.execPath, args);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {number} mebibytes
 * @returns {string}
 */
function cell(mebibytes) {
  return mebibytes.toFixed(0);
}
