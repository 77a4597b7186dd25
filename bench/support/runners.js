/** Opens pruned networks in @kofn/runtime and in onnxruntime, on one thread each and with a batch of one sample. */

import { load } from "@kofn/runtime";
import { encodeKofn } from "kofn";
import { internals } from "./internals.js";

const { kofnRunner, onnxRunner, PEERS } = await internals.engines();
const { randomBatch } = await internals.subject();

/**
 * @typedef {import("./internals.js").Runner} Runner
 * @typedef {import("./internals.js").EngineName} EngineName
 * @typedef {import("kofn").KofnContents} Contents
 *
 * @typedef {object} Opened
 * @property {Runner} runner
 * @property {number} loadMs
 */

/** @type {readonly EngineName[]} */
export const ENGINES = ["kofn", ...PEERS];

/**
 * @param {Contents} contents
 * @returns {Promise<Opened & { net: import("@kofn/runtime").Network }>}
 */
export async function openKofn(contents) {
  const { bytes } = encodeKofn(contents);
  const begin = performance.now();
  const net = await load(bytes);
  return { net, loadMs: performance.now() - begin, runner: kofnRunner(net, randomBatch(net, 1)) };
}

/**
 * @param {Contents} contents
 * @param {import("@kofn/runtime").Network} net the same network
 * @returns {Promise<Opened[]>} in the order of PEERS
 */
export async function openPeers({ model }, net) {
  const names = interfaceOf(model);
  /** @type {Opened[]} */
  const opened = [];
  for (const peer of PEERS) {
    const begin = performance.now();
    const runner = await onnxRunner(peer, model, names, randomBatch(net, 1), 1);
    opened.push({ runner, loadMs: performance.now() - begin });
  }
  return opened;
}

/**
 * Names of what a model reads and gives, and the size of one sample.
 *
 * @param {import("kofn").Model} model from one input [batch, ...] to one output
 */
export function interfaceOf({ graph }) {
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  const dims = (input.type?.shape ?? []).slice(1).map(Number);
  return { input: input.name, output: output.name, dims };
}
