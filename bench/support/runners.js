/** Opens pruned networks in @kofn/runtime and in onnxruntime, on one thread each and with a batch of one sample. */

import { kofnRunner, onnxRunner, PEERS } from "../../packages/kofn/dist/bench/engines.js";
import { randomBatch } from "../../packages/kofn/dist/bench/subject.js";
import { encodeKofn } from "../../packages/kofn/dist/pack/file.js";
import { load } from "../../packages/runtime/dist/index.js";

/**
 * @typedef {import("../../packages/kofn/dist/bench/engines.js").Runner} Runner
 * @typedef {import("../../packages/kofn/dist/bench/engines.js").EngineName} EngineName
 * @typedef {import("../../packages/kofn/dist/pack/types.js").KofnContents} Contents
 *
 * @typedef {object} Opened
 * @property {Runner} runner
 * @property {number} loadMs
 */

/** @type {readonly EngineName[]} */
export const ENGINES = ["kofn", ...PEERS];

/**
 * @param {Contents} contents
 * @returns {Promise<Opened & { net: import("../../packages/runtime/dist/index.js").Network }>}
 */
export async function openKofn(contents) {
  const { bytes } = encodeKofn(contents);
  const begin = performance.now();
  const net = await load(bytes);
  return { net, loadMs: performance.now() - begin, runner: kofnRunner(net, randomBatch(net, 1)) };
}

/**
 * @param {Contents} contents
 * @param {import("../../packages/runtime/dist/index.js").Network} net the same network
 * @returns {Promise<Opened[]>} in the order of PEERS
 */
export async function openPeers({ model }, net) {
  const { inputs, outputs } = model.graph;
  const names = { input: inputs[0].name, output: outputs[0].name };
  /** @type {Opened[]} */
  const opened = [];
  for (const peer of PEERS) {
    const begin = performance.now();
    const runner = await onnxRunner(peer, model, names, randomBatch(net, 1), 1);
    opened.push({ runner, loadMs: performance.now() - begin });
  }
  return opened;
}
