/** Exports networks as C, compiles them, and measures what they cost and how well they do on the test split. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, loadDataset, loadModel } from "kofn";
import { say } from "./support/progress.js";
import { table } from "./support/table.js";

const KOFN = fileURLToPath(new URL("../packages/kofn/bin/kofn.js", import.meta.url));
const FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"];
const QUANTIZE = [
  "--quantize",
  "*=int8",
  "--quantize",
  "activations=uint8",
  "--quantize",
  "activations.*=uint8",
];

/** Reads images and labels from stdin, as many as there are, and counts the right answers. */
const MAIN = `#include <stdio.h>
#include <time.h>
#include "net.h"

int main(void) {
  static float input[NET_INPUT_SIZE], output[NET_OUTPUT_SIZE];
  static uint8_t image[1 + NET_INPUT_SIZE];
  int right = 0;
  clock_t ticks = 0;
  while (fread(image, sizeof image, 1, stdin) == 1) {
    clock_t start;
    int best = 0, i;
    net_normalise(image + 1, input);
    start = clock();
    net_run(input, output);
    ticks += clock() - start;
    for (i = 1; i < NET_OUTPUT_SIZE; i++) if (output[i] > output[best]) best = i;
    right += best == image[0];
  }
  printf("%d %.0f\\n", right, 1e6 * (double)ticks / CLOCKS_PER_SEC);
  return 0;
}
`;

/**
 * @typedef {object} Measured
 * @property {string} name
 * @property {number} count of images
 * @property {number} right
 * @property {number} reported accuracy, as onnxruntime measured it
 * @property {number} tables bytes
 * @property {number} memory bytes
 * @property {number} code bytes
 * @property {number} microseconds for an image
 */

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchHardware({ runs, model, "data-dir": dir }) {
  if (dir === undefined || (runs === undefined) === (model === undefined)) {
    throw new InputError(
      "the bench hardware needs --runs DIR, a folder of runs on MNIST, or --model FILE.onnx, a network for MNIST or CIFAR-10; and --data-dir DIR with the images",
    );
  }
  /** @type {Measured[]} */
  const rows = [];
  if (runs !== undefined) {
    const images = await imagesOf("mnist", dir);
    for (const run of readdirSync(runs).sort()) {
      const path = join(runs, run);
      if (existsSync(join(path, "report.json")))
        rows.push(measure(run, path, [], images, ["--data-dir", dir]));
    }
  } else if (model !== undefined) {
    const { graph } = await loadModel(model);
    const name = graph.inputs[0].type?.shape?.[1] === 1 ? "mnist" : "cifar10";
    const data = ["--data", name, "--data-dir", dir];
    const images = await imagesOf(name, dir);
    const { normalize } = JSON.parse(kofn(["eval", model, ...data, "--json"]));
    const normalization = ["--normalize", normalize];
    rows.push(measure("float", model, normalization, images, data));
    rows.push(measure("int8", model, [...normalization, ...QUANTIZE, ...data], images, data));
  }
  const percent = (/** @type {number} */ value) => `${(100 * value).toFixed(2)} %`;
  const text = table(
    ["network", "onnxruntime", "in C", "tables", "static memory", "code (-Os)", "us per image (-O2)"],
    rows.map(({ name, count, right, reported, tables, memory, code, microseconds }) => [
      name,
      percent(reported),
      percent(right / count),
      ...[tables, memory, code].map((bytes) => bytes.toLocaleString("en-US")),
      microseconds.toFixed(0),
    ]),
  );
  return { text, data: { rows } };
}

/**
 * Images and labels of the test split: a byte of label before each image.
 *
 * @param {"mnist" | "cifar10"} name
 * @param {string} dir
 */
async function imagesOf(name, dir) {
  const { test, channels, height, width } = await loadDataset(name, { dir });
  if (!(test.images instanceof Uint8Array)) throw new InputError(`${name}: expected images in memory`);
  const size = channels * height * width;
  const bytes = new Uint8Array(test.count * (1 + size));
  for (let i = 0; i < test.count; i++) {
    bytes[i * (1 + size)] = test.labels[i];
    bytes.set(test.images.subarray(i * size, (i + 1) * size), i * (1 + size) + 1);
  }
  return { count: test.count, bytes };
}

/** @param {readonly string[]} args */
function kofn(args) {
  return execFileSync(process.execPath, [KOFN, ...args], { encoding: "utf8", maxBuffer: 2 ** 26 });
}

/**
 * @param {string} name
 * @param {string} path
 * @param {readonly string[]} options of the export
 * @param {{ count: number, bytes: Uint8Array }} images
 * @param {readonly string[]} data options that name the data set
 * @returns {Measured}
 */
function measure(name, path, options, { count, bytes }, data) {
  say(name);
  const folder = mkdtempSync(join(tmpdir(), "kofn-bench-"));
  try {
    const file = join(folder, "net.c");
    const exported = JSON.parse(kofn(["export", path, "--format", "c", ...options, "-o", file, "--json"]));
    writeFileSync(join(folder, "main.c"), MAIN);
    /** @param {readonly string[]} args */
    const gcc = (args) => execFileSync("gcc", [...FLAGS, ...args], { cwd: folder });
    gcc(["-Os", "-c", "net.c"]);
    const sections = execFileSync("size", ["-A", "net.o"], { cwd: folder, encoding: "utf8" });
    gcc(["-O2", "net.c", "main.c", "-o", "net"]);
    const printed = execFileSync(join(folder, "net"), { input: bytes, encoding: "utf8" });
    const [right, microseconds] = printed.trim().split(" ").map(Number);
    const { accuracy } = JSON.parse(kofn(["eval", path, ...data, "--json"]));
    return {
      name,
      count,
      right,
      reported: accuracy,
      tables: exported.tableBytes,
      memory: exported.memoryBytes,
      code: Number(/\.text\s+(\d+)/.exec(sections)?.[1]),
      microseconds: microseconds / count,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
