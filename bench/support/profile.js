/** Where a training step's time goes, by operator and by node, from onnxruntime's profile. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "./statistics.js";
import { digits, table } from "./table.js";

/** @typedef {import("./networks.js").TimedTrainer} TimedTrainer */

/** Ends the names of the events that are the run of a node. */
const KERNEL = "_kernel_time";

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
 * Profiles one epoch of a trainer.
 *
 * @param {object} options
 * @param {string} options.what the step, for the text
 * @param {number} options.threads
 * @param {number} options.warmUp steps at the start that are not counted
 * @param {number} options.shown so many of the costliest nodes go into the text
 * @param {(profile: string) => Promise<TimedTrainer>} options.create a trainer whose profile goes to files with this prefix
 * @returns {Promise<import("../run.js").Outcome>}
 */
export async function profileStep({ what, threads, warmUp, shown, create }) {
  const { events, stepMs } = await profile(create, warmUp);
  const runs = events.filter(({ cat, name }) => cat === "Session" && name === "model_run").slice(warmUp);
  const from = runs[0].ts;
  const counted = events.filter(({ cat, name, ts }) => cat === "Node" && name.endsWith(KERNEL) && ts >= from);
  const steps = runs.length;
  const byNode = nodeShares(counted);
  const byOp = operatorShares(byNode);
  const runUs = median(runs.map(({ dur }) => dur));
  const kernelsUs = byOp.reduce((sum, { us }) => sum + us, 0);
  const text = [
    `${what}, ${threads} threads, medians of ${steps} steps under onnxruntime's profiler (which slows them a little).`,
    `A step takes ${digits(median(stepMs))} ms, the graph's run in it ${digits(runUs / 1000)} ms, the operators in that ${digits(kernelsUs / 1000)} ms (sum of each node's median).`,
    "",
    shareTable("operator", byOp, runUs),
    "",
    `The ${Math.min(shown, byNode.length)} costliest of ${byNode.length} nodes:`,
    "",
    shareTable("node", byNode.slice(0, shown), runUs),
  ].join("\n");
  return { text, data: { threads, steps, stepMs, runUs, byOp, byNode } };
}

/**
 * @param {(profile: string) => Promise<TimedTrainer>} create
 * @param {number} warmUp
 * @returns {Promise<{ events: TraceEvent[], stepMs: number[] }>}
 */
async function profile(create, warmUp) {
  const folder = mkdtempSync(join(tmpdir(), "kofn-bench-"));
  try {
    const trainer = await create(join(folder, "step"));
    const stepMs = (await trainer.epoch()).slice(warmUp);
    await trainer.close();
    // The engine's sessions that try out blocks write files of their own, small ones.
    const files = readdirSync(folder).map((file) => join(folder, file));
    const [largest] = files.sort((a, b) => statSync(b).size - statSync(a).size);
    const events = /** @type {TraceEvent[]} */ (JSON.parse(readFileSync(largest, "utf8")));
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
