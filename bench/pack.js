/** Measures packed files: how fast they are encoded and decoded, what they take beside the limit, and how packed ONNX loads and runs. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  accountOf,
  decodeKofn,
  encodeKofn,
  encodeModelBytes,
  modelOfKofn,
  packOnnx,
  readRun,
  runContents,
  weights,
  zoo,
} from "kofn";
import { internals } from "./support/internals.js";
import { matrixModel, packedNetwork } from "./support/packed.js";
import { say } from "./support/progress.js";
import { takeTurns } from "./support/rounds.js";
import { interfaceOf } from "./support/runners.js";
import { median, summarise } from "./support/statistics.js";
import { digits, spread, table } from "./support/table.js";

/** @typedef {import("kofn").KofnContents} KofnContents */
/** @typedef {import("kofn").PackOptions} PackOptions */

const { Engine } = await internals.engine();

/** The layer on which speed is measured: 10 million weights, of which a tenth is kept. */
const MATRIX = { rows: 10_000, columns: 1000, k: 100 };
const REPEATS = 5;
const RUNS_OF_A_ROUND = 200;

const NETWORKS = /** @type {const} */ ([
  ["lenet-300-100", zoo.lenet300100, { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) }],
  ["lenet-5", zoo.lenet5, { conv2: weights({ k: 50 }), fc1: weights({ k: 32 }), fc2: weights({ k: 100 }) }],
]);
const FORMATS = /** @type {const} */ (["float32", "int8", "int4", "binary"]);

/** @type {readonly (readonly [string, PackOptions])[]} */
const WAYS = [
  ["", {}],
  ["entropy", { entropy: true }],
  ["float16", { values: "float16" }],
  ["float16, entropy", { values: "float16", entropy: true }],
];

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchPack({ runs }) {
  const speed = speeds();
  const sizes = NETWORKS.flatMap(([name, model, prune]) =>
    FORMATS.flatMap((format) => sizesOf(name, packedNetwork(model(), prune, format), format)),
  );
  const trained = runs === undefined ? [] : await sizesOfRuns(runs);
  const onnx = [];
  for (const [name, model, prune] of NETWORKS) {
    for (const format of FORMATS) {
      onnx.push(await onnxTimes(name, format, packedNetwork(model(), prune, format)));
    }
  }
  const matrix = packedNetwork(matrixModel(2048, 2048), { fc: weights({ keep: 0.1 }) }, "int8");
  onnx.push(await onnxTimes("2048x2048 at 10 %", "int8", matrix));
  const { rows, columns, k } = MATRIX;
  const sizeTable = (/** @type {typeof sizes} */ list) =>
    table(
      ["network", "values", "coding", "file, bytes", "limit", "file / limit", "positions / limit"],
      list.map((row) => [
        row.name,
        row.format,
        row.way,
        `${row.file}`,
        `${row.limit}`,
        (row.file / row.limit).toFixed(4),
        (row.positions / row.positionsLimit).toFixed(4),
      ]),
    );
  const text = [
    `## Speed`,
    "",
    `MB of dense float32 weights in a second of processor time, of a whole file: ${rows} groups of ${columns}, k = ${k}; median of ${REPEATS} repeats, the best in brackets.`,
    "",
    table(
      ["positions", "values", "encode", "decode", "file, bytes"],
      speed.map((row) => [row.positions, row.values, row.encode, row.decode, `${row.bytes}`]),
    ),
    "",
    "## Sizes",
    "",
    "Random masks and weights. The limit is log2 C(n, k) bits for each group, the bits of values without entropy coding, scales and biases.",
    "",
    sizeTable(sizes),
    ...(trained.length === 0 ? [] : ["", `Trained runs in ${runs ?? ""}:`, "", sizeTable(trained)]),
    "",
    "## Packed ONNX",
    "",
    `onnxruntime-node, one thread, batch 1. Load: milliseconds of making a session; run: microseconds, median [quartiles; best] over rounds of ${RUNS_OF_A_ROUND} runs. The contenders take turns.`,
    "",
    table(
      [
        "network",
        "values",
        "dense, bytes",
        "packed",
        "predicted",
        "load dense",
        "load packed",
        "run dense",
        "run packed",
      ],
      onnx.map((row) => [
        row.name,
        row.format,
        `${row.denseBytes}`,
        `${row.bytes}`,
        `${row.predicted}`,
        spread(summarise(row.dense.load)),
        spread(summarise(row.packed.load)),
        spread(summarise(row.dense.run)),
        spread(summarise(row.packed.run)),
      ]),
    ),
  ].join("\n");
  return { text, data: { speed, sizes, trained, onnx } };
}

function speeds() {
  const { rows, columns, k } = MATRIX;
  const dense = matrixModel(rows, columns);
  const megabytes = (4 * rows * columns) / 1e6;
  const series = [];
  for (const format of /** @type {const} */ (["float32", "int8", "binary"])) {
    const contents = packedNetwork(dense, { fc: weights({ k }) }, format);
    for (const positions of /** @type {const} */ (["bitmap", "indices", "range"])) {
      for (const entropy of positions === "range" && format !== "binary" ? [false, true] : [false]) {
        const values = `${format}${entropy ? ", entropy" : ""}`;
        say(`encoding and decoding ${positions}, ${values}`);
        const [encode, decode] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
        let bytes = 0;
        for (let i = 0; i < REPEATS; i++) {
          const begin = cpuSeconds();
          const packed = encodeKofn(contents, { positions, entropy });
          const between = cpuSeconds();
          decodeKofn(packed.bytes, "bench");
          encode.push(megabytes / (between - begin));
          decode.push(megabytes / (cpuSeconds() - between));
          bytes = packed.bytes.length;
        }
        const shown = (/** @type {number[]} */ list) =>
          `${digits(median(list))} [${digits(Math.max(...list))}]`;
        series.push({
          positions,
          values,
          bytes,
          encode: shown(encode),
          decode: shown(decode),
          samples: { encode, decode },
        });
      }
    }
  }
  return series;
}

/** Processor time of this process: other programs do not count. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/**
 * @param {string} name
 * @param {KofnContents} contents
 * @param {string} format
 */
function sizesOf(name, contents, format) {
  return WAYS.map(([way, options]) => {
    const { bytes, tensors } = encodeKofn(contents, options);
    const { total, layers } = accountOf(contents.model, tensors, bytes.length);
    const sum = (/** @type {"positions" | "positionsLimit"} */ part) =>
      layers.reduce((all, layer) => all + layer[part], 0);
    return {
      name,
      format,
      way,
      file: total.file,
      limit: total.limit,
      positions: sum("positions"),
      positionsLimit: sum("positionsLimit"),
    };
  });
}

/** @param {string} folder one that holds run directories */
async function sizesOfRuns(folder) {
  const sizes = [];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (!existsSync(join(path, "report.json"))) continue;
    const run = await readRun(path);
    const formats = new Set(run.quantization.weights.map(({ format }) => format));
    sizes.push(...sizesOf(name, await runContents(run), [...formats].join(", ") || "float32"));
  }
  return sizes;
}

/**
 * @param {string} name
 * @param {string} format
 * @param {KofnContents} contents
 */
async function onnxTimes(name, format, contents) {
  const packed = packOnnx(contents);
  const dense = modelOfKofn(contents);
  const rounds = { dense: samples(), packed: samples() };
  const contenders = [
    await contender("dense", dense, rounds.dense),
    await contender("packed", packed.model, rounds.packed),
  ];
  await takeTurns(`${name}, ${format}`, contenders, { rounds: 9, seconds: 10 });
  return {
    name,
    format,
    denseBytes: encodeModelBytes(dense).length,
    bytes: encodeModelBytes(packed.model).length,
    predicted: packed.predictedBytes,
    ...rounds,
  };
}

/** @returns {{ load: number[], run: number[] }} */
const samples = () => ({ load: [], run: [] });

/**
 * @param {string} name
 * @param {import("kofn").Model} model
 * @param {{ load: number[], run: number[] }} rounds gathers milliseconds of loading and microseconds of running
 * @returns {Promise<import("./support/internals.js").Contender>}
 */
async function contender(name, model, rounds) {
  const { input, output, dims } = interfaceOf(model);
  const engine = await Engine.open({ threads: 1 });
  const size = dims.reduce((product, dim) => product * dim, 1);
  const images = engine.value("float32", [1, ...dims], new Float32Array(size).fill(0.5));
  return {
    name,
    round: async () => {
      const begin = performance.now();
      const session = await engine.session(model);
      rounds.load.push(performance.now() - begin);
      const times = [];
      for (let i = 0; i < RUNS_OF_A_ROUND; i++) {
        const start = performance.now();
        await session.run({ [input]: images }, { [output]: null });
        times.push(1000 * (performance.now() - start));
      }
      rounds.run.push(median(times));
      await session.close();
      return median(times) / 1000;
    },
  };
}
