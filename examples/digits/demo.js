/**
 * Serves a page on which a network of a few kilobytes reads digits while one draws them:
 *
 *     npm run demo                        trains a network first, if there is none yet
 *     npm run demo -- --run runs/mnist    another run, .kofn file or ONNX model
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InputError, KofnError } from "kofn";
import { serve } from "./serve.js";

const KOFN = fileURLToPath(new URL("../../packages/kofn/bin/kofn.js", import.meta.url));
const RUN = "runs/digits";

/** A network that keeps 16 of 784 and 16 of 300, in weights of 4 bits. */
const TRAINING = [
  ...["train", "lenet-300-100", "--data", "glyphs", "--augment", "crop:3"],
  ...["--prune", "fc1=weights:16", "--prune", "fc2=weights:16", "--quantize", "*=int4"],
  ...["--epochs", "8", "--lr", "0.005", "--seed", "1"],
];

/**
 * Runs a command of kofn as a process, which says what it does and what is wrong.
 *
 * @param {readonly string[]} words
 * @returns {Promise<boolean>} whether it succeeded; if not, this process is to exit with the same code
 */
async function kofn(...words) {
  console.log(`\n> kofn ${words.join(" ")}`);
  const [code] = await once(spawn(process.execPath, [KOFN, ...words], { stdio: "inherit" }), "close");
  if (code !== 0) process.exitCode = Number(code ?? 1);
  return code === 0;
}

/**
 * The bytes of the .kofn file that a run is packed into.
 *
 * @param {string} run
 * @returns {Promise<Uint8Array | undefined>} undefined if that failed
 */
async function packed(run) {
  const folder = await mkdtemp(join(tmpdir(), "kofn-"));
  try {
    const path = join(folder, "model.kofn");
    return (await kofn("pack", run, "--entropy", "-o", path)) ? await readFile(path) : undefined;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function main() {
  const { values } = parseArgs({ options: { run: { type: "string" } } });
  const { run = RUN } = values;
  const isThere = values.run !== undefined || existsSync(join(RUN, "report.json"));
  if (!isThere && !(await kofn(...TRAINING, "--out", RUN, "--overwrite"))) return;
  const file = await packed(run);
  if (file === undefined) return;
  const { url } = await serve(file, run);
  console.log(`\nDraw digits at ${url}\nCtrl-C ends it.`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = error instanceof KofnError && !(error instanceof InputError) ? 1 : 2;
}
