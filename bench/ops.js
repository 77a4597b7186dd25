/** Says where a training step's time goes, by operator and by node, from onnxruntime's profile. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "../packages/kofn/dist/errors.js";
import { NETWORKS, TimedTrainer } from "./support/networks.js";
import { say } from "./support/progress.js";
import { median } from "./support/statistics.js";
import { digits, table } from "./support/table.js";

/** @typedef {import("./support/networks.js").NetworkName} NetworkName */
/** @typedef {import("./support/networks.js").Mode} Mode */

const STEPS = 60;
/** At the start; not counted. */
const WARM_UP = 10;
const NODES_SHOWN = 25;
/** Ends the names of the events that are the run of a node. */
const KERNEL = "_kernel_time";
const THREADS = availableParallelism();

/**
 * An event of a profile in Chrome's trace format; times in microseconds.
 *
 * @typedef {object} TraceEvent
 * @property {string} cat
 * @property {string} name
 * @property {number} ts
 * @property {number} dur
 * @property {{ op_name?: string }} [args]
 */

/**
 * @typedef {object} Share
 * @property {string} name
 * @property {string} op
 * @property {number} nodes how many there are of them
 * @property {number} us of a step
 */

/**
 * @param {import("./run.js").Options} options
 * @returns {Promise<import("./run.js").Outcome>}
 */
export async function benchOps({ model, dense = false }) {
  const network = NETWORKS.find((name) => name === model);
  if (network === undefined) {
    throw new InputError(
      `ops: expected --model ${NETWORKS.join(" or --model ")}, got ${model === undefined ? "none" : `"${model}"`}`,
    );
  }
  const mode = dense ? "dense" : "dpp";
  say(`profiling ${STEPS} ${mode} steps of ${network}`);
  const { events, stepMs } = await profile(network, mode);
  const runs = events.filter(({ cat, name }) => cat === "Session" && name === "model_run");
  const from = runs[WARM_UP].ts;
  const counted = events.filter(({ cat, name, ts }) => cat === "Node" && name.endsWith(KERNEL) && ts >= from);
  const steps = runs.length - WARM_UP;
  const byNode = nodeShares(counted);
  const byOp = operatorShares(byNode);
  const runUs = median(runs.slice(WARM_UP).map(({ dur }) => dur));
  const kernelsUs = byOp.reduce((sum, { us }) => sum + us, 0);
  const text = [
    `${network}, ${mode} step, ${THREADS} threads, medians of ${steps} steps under onnxruntime's profiler (which slows them a little).`,
    `A step takes ${digits(median(stepMs))} ms, the graph's run in it ${digits(runUs / 1000)} ms, the operators in that ${digits(kernelsUs / 1000)} ms (sum of each node's median).`,
    "",
    shareTable("operator", byOp, runUs),
    "",
    `The ${Math.min(NODES_SHOWN, byNode.length)} costliest of ${byNode.length} nodes:`,
    "",
    shareTable("node", byNode.slice(0, NODES_SHOWN), runUs),
  ].join("\n");
  return { text, data: { network, mode, threads: THREADS, steps, stepMs, runUs, byOp, byNode } };
}

/**
 * @param {NetworkName} network
 * @param {Mode} mode
 * @returns {Promise<{ events: TraceEvent[], stepMs: number[] }>}
 */
async function profile(network, mode) {
  const folder = mkdtempSync(join(tmpdir(), "kofn-bench-"));
  try {
    const trainer = await TimedTrainer.create(network, mode, {
      threads: THREADS,
      epochs: 1,
      steps: WARM_UP + STEPS,
      profile: join(folder, "step"),
    });
    const stepMs = (await trainer.epoch()).slice(WARM_UP);
    await trainer.close();
    const [file] = readdirSync(folder);
    const events = /** @type {TraceEvent[]} */ (JSON.parse(readFileSync(join(folder, file), "utf8")));
    return { events, stepMs };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The median time of each node, the costliest first.
 *
 * @param {readonly TraceEvent[]} events
 * @returns {Share[]}
 */
function nodeShares(events) {
  /** @type {Map<string, { op: string, us: number[] }>} */
  const nodes = new Map();
  for (const { name, dur, args } of events) {
    const node = nodes.get(name) ?? { op: args?.op_name ?? "?", us: [] };
    nodes.set(name, node);
    node.us.push(dur);
  }
  return [...nodes]
    .map(([name, { op, us }]) => ({ name: name.slice(0, -KERNEL.length), op, nodes: 1, us: median(us) }))
    .sort((a, b) => b.us - a.us);
}

/**
 * The sums over the nodes of each operator, the costliest first.
 *
 * @param {readonly Share[]} nodes
 * @returns {Share[]}
 */
function operatorShares(nodes) {
  /** @type {Map<string, Share>} */
  const sums = new Map();
  for (const { op, us } of nodes) {
    const sum = sums.get(op) ?? { name: op, op, nodes: 0, us: 0 };
    sums.set(op, { ...sum, nodes: sum.nodes + 1, us: sum.us + us });
  }
  return [...sums.values()].sort((a, b) => b.us - a.us);
}

/**
 * @param {"operator" | "node"} of
 * @param {readonly Share[]} shares
 * @param {number} totalUs
 * @returns {string}
 */
function shareTable(of, shares, totalUs) {
  const extra = of === "node" ? "operator" : "nodes";
  return table(
    [of, extra, "us", "share"],
    shares.map(({ name, op, nodes, us }) => [
      name,
      of === "node" ? op : `${nodes}`,
      us.toFixed(1),
      `${((100 * us) / totalUs).toFixed(1)} %`,
    ]),
  );
}
