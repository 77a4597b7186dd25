/** How `digests` makes a run, and what of a run has a digest. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeKofn, encodeSafetensors, readRun, runContents, train } from "kofn";
import { run } from "./process.js";

/**
 * @typedef {import("kofn").Checkpoint} Checkpoint
 * @typedef {import("kofn").TrainOptions} TrainOptions
 *
 * @typedef {Record<string, string>} Digests by what they are of: the name of a file, or "checkpoint" or "model.kofn"
 *
 * @typedef {(folder: string) => Promise<Digests>} DigestRun makes a run in a folder that is not there yet
 *
 * @typedef {Omit<TrainOptions, "onCheckpoint" | "resume">} Options
 */

const KOFN = fileURLToPath(new URL("../../packages/kofn/bin/kofn.js", import.meta.url));

/** Keys of JSON whose values are times, and so different in each run. */
const TIMES = new Set(["seconds", "samplesPerSecond"]);
/** A page with times in it; what it shows is in the other files. */
const PAGE = ".html";

/**
 * A run of the library from beginning to end.
 *
 * @param {() => Options | Promise<Options>} options
 * @returns {DigestRun}
 */
export function trained(options) {
  return async (folder) => trainedInto(folder, await options());
}

/**
 * A run that stops at its first checkpoint, and goes on from it.
 *
 * @param {() => Options | Promise<Options>} options
 * @returns {DigestRun}
 */
export function resumed(options) {
  return async (folder) => {
    const own = await options();
    const stop = new Error("stopped");
    /** @type {Checkpoint | undefined} */
    let resume;
    const onCheckpoint = (/** @type {Checkpoint} */ checkpoint) => {
      resume = checkpoint;
      return Promise.reject(stop);
    };
    await train({ ...own, onCheckpoint }).catch((error) => {
      if (error !== stop) throw error;
    });
    if (resume === undefined) throw new Error("a run that was to be stopped has no checkpoint");
    return trainedInto(folder, { ...own, resume });
  };
}

/**
 * A run of the command line.
 *
 * @param {readonly string[]} args of `kofn train`
 * @returns {DigestRun}
 */
export function commanded(args) {
  return async (folder) => {
    await run(process.execPath, [KOFN, "train", ...args, "--out", folder]);
    return digestsOf(folder);
  };
}

/**
 * A run of the command line that is killed after its second epoch, and goes on from its last checkpoint.
 *
 * @param {readonly string[]} args of `kofn train`
 * @returns {DigestRun}
 */
export function killed(args) {
  return async (folder) => {
    await kill([KOFN, "train", ...args, "--out", folder], "epoch 2/");
    await run(process.execPath, [KOFN, "train", "--resume", "--out", folder]);
    return digestsOf(folder);
  };
}

/**
 * @param {string} folder
 * @param {TrainOptions} options
 * @returns {Promise<Digests>} with that of the last checkpoint: the state of all that learns
 */
async function trainedInto(folder, options) {
  /** @type {Checkpoint | undefined} */
  let last;
  const onCheckpoint = (/** @type {Checkpoint} */ checkpoint) => {
    last = checkpoint;
    return Promise.resolve();
  };
  const done = await train({ ...options, onCheckpoint });
  await done.save(folder);
  const digests = await digestsOf(folder);
  return last === undefined ? digests : { ...digests, checkpoint: sha256(encodeSafetensors(last.tensors)) };
}

/**
 * @param {string} folder of a finished run
 * @returns {Promise<Digests>}
 */
async function digestsOf(folder) {
  const files = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.isFile() && extname(entry.name) !== PAGE,
  );
  const names = files.map(({ name }) => name).sort();
  const contents = await runContents(await readRun(folder));
  // The digest of config.json says by itself whether the config is another.
  const provenance = { ...contents.provenance, config: "00".repeat(8) };
  return {
    ...Object.fromEntries(names.map((name) => [name, sha256(lasting(join(folder, name)))])),
    "model.kofn": sha256(encodeKofn({ ...contents, provenance }).bytes),
  };
}

/**
 * @param {string} path
 * @returns {string | Uint8Array} the file's bytes; JSON without times
 */
function lasting(path) {
  const bytes = readFileSync(path);
  if (!/\.jsonl?$/.test(path)) return bytes;
  const text = bytes.toString("utf8").trim();
  const documents = path.endsWith("l") ? text.split("\n") : [text];
  return documents
    .map((document) =>
      JSON.stringify(JSON.parse(document, (key, value) => (TIMES.has(key) ? undefined : value))),
    )
    .join("\n");
}

/** @param {string | Uint8Array} bytes */
function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Starts this Node with arguments, and kills it as soon as it has written a text to stderr.
 *
 * @param {readonly string[]} args
 * @param {string} text
 * @returns {Promise<void>}
 * @throws Error if it ends before that
 */
function kill(args, text) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let written = "";
    child.stderr.setEncoding("utf8").on("data", (some) => {
      written += some;
      if (written.includes(text)) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve();
      else
        reject(
          new Error(`${args.join(" ")} ended with ${signal ?? code} before it was killed: ${written.trim()}`),
        );
    });
  });
}
