/** `npm run bench -- NAME [--json FILE]`: measures kofn on this machine, beside PyTorch where it is there. */

import { existsSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine, machineFacts } from "./support/machine.js";

/**
 * @typedef {object} Outcome
 * @property {string} text Markdown
 * @property {object} data everything that was measured
 * @property {number} [exitCode] of the process; default 0
 *
 * @typedef {object} Bench
 * @property {string} summary
 * @property {readonly string[]} options those of OPTIONS that it takes besides "json"
 * @property {() => Promise<(options: Options) => Promise<Outcome>>} load
 *
 * @typedef {{ model?: string | undefined, dense?: boolean | undefined, runs?: string | undefined, "data-dir"?: string | undefined, out?: string | undefined, against?: string | undefined, only?: string | undefined }} Options
 */

/** @type {Readonly<Record<string, Bench>>} */
const BENCHES = {
  step: {
    summary: "training steps, dense and pruned, beside PyTorch's",
    options: [],
    load: async () => (await import("./step.js")).benchStep,
  },
  "resnet-20": {
    summary: "training steps of resnet-20 beside PyTorch's: time, memory, and where the time goes",
    options: [],
    load: async () => (await import("./resnet-20.js")).benchResnet,
  },
  sampler: {
    summary: "the k-of-n sampler, forward and backward, beside the published formulation",
    options: [],
    load: async () => (await import("./sampler.js")).benchSampler,
  },
  memory: {
    summary: "peak resident memory of training and of the sampler",
    options: [],
    load: async () => (await import("./memory.js")).benchMemory,
  },
  quantize: {
    summary:
      "weights of few bits, trained or quantized after training: --runs DIR --data-dir DIR [--model NAME] (hours)",
    options: ["runs", "data-dir", "model"],
    load: async () => (await import("./quantize.js")).benchQuantize,
  },
  agreement: {
    summary: "a quantized run in floats and in integers, code by code: --runs RUN --data-dir DIR",
    options: ["runs", "data-dir"],
    load: async () => (await import("./agreement.js")).benchAgreement,
  },
  qdq: {
    summary: "resnet-20 in integers beside floats, in onnxruntime-node",
    options: [],
    load: async () => (await import("./qdq.js")).benchQdq,
  },
  pack: {
    summary: "packed files: speed of the codecs, sizes, packed ONNX beside dense: [--runs DIR]",
    options: ["runs"],
    load: async () => (await import("./pack.js")).benchPack,
  },
  hardware: {
    summary: "networks in C: accuracy, bytes and time: --runs DIR or --model FILE.onnx, --data-dir DIR",
    options: ["runs", "model", "data-dir"],
    load: async () => (await import("./hardware.js")).benchHardware,
  },
  runtime: {
    summary: "@kofn/runtime on pruned networks beside onnxruntime-node and onnxruntime-web, one thread each",
    options: [],
    load: async () => (await import("./runtime.js")).benchRuntime,
  },
  latency: {
    summary: "@kofn/runtime over density, maps and image size beside onnxruntime: [--out DIR] for the plots",
    options: ["out"],
    load: async () => (await import("./latency.js")).benchLatency,
  },
  ops: {
    summary: "where a step's time goes, by operator: --model NAME [--dense]",
    options: ["model", "dense"],
    load: async () => (await import("./ops.js")).benchOps,
  },
  digests: {
    summary:
      "SHA-256 of what short runs leave: [--out FILE] writes, [--against FILE] compares, [--only TEXT] of their names",
    options: ["out", "against", "only"],
    load: async () => (await import("./digests.js")).benchDigests,
  },
};

const USAGE = [
  "Usage: npm run bench -- NAME [--json FILE]",
  "",
  ...Object.entries(BENCHES).map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`),
].join("\n");

/**
 * @param {string} message
 * @returns {never}
 */
function refuse(message) {
  process.stderr.write(`${message}\n\n${USAGE}\n`);
  process.exit(2);
}

/** @returns {{ name: string, json: string | undefined, options: Options }} */
function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "string" },
        model: { type: "string" },
        dense: { type: "boolean" },
        runs: { type: "string" },
        "data-dir": { type: "string" },
        out: { type: "string" },
        against: { type: "string" },
        only: { type: "string" },
      },
    });
    const { json, ...options } = values;
    if (positionals.length !== 1) throw new Error("expected the name of one bench");
    const [name] = positionals;
    if (!Object.hasOwn(BENCHES, name)) throw new Error(`there is no bench "${name}"`);
    const foreign = Object.keys(options).find((option) => !BENCHES[name].options.includes(option));
    if (foreign !== undefined) throw new Error(`the bench "${name}" has no option --${foreign}`);
    return { name, json, options };
  } catch (error) {
    return refuse(`bench: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

const { name, json, options } = commandLine();
if (!existsSync(new URL("../packages/kofn/dist/index.js", import.meta.url))) {
  refuse("bench: kofn is not built; run `npm run build` first.");
}
if (json !== undefined) {
  try {
    writeFileSync(json, "");
  } catch (error) {
    refuse(`bench: can't write --json ${json} (${error instanceof Error ? error.message : String(error)}).`);
  }
}

const { KofnError } = await import("kofn");
const machine = machineFacts();
try {
  const bench = await BENCHES[name].load();
  const { text, data, exitCode = 0 } = await bench(options);
  process.stdout.write(`Machine: ${describeMachine(machine)}\n\n${text}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ bench: name, machine, ...data })}\n`);
  process.exitCode = exitCode;
} catch (error) {
  if (!(error instanceof KofnError)) throw error;
  process.stderr.write(`bench: ${error.message}.\n`);
  process.exitCode = error.exitCode;
}
