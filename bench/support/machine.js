/** The facts about the machine and the versions that figures depend on. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, availableParallelism, cpus, loadavg, totalmem } from "node:os";

const VECTOR_FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"];

/**
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {number} cores
 * @property {readonly string[]} vectors instruction sets that kernels choose by
 * @property {number} memoryGiB
 * @property {string} system
 * @property {string} arch
 * @property {string} node
 * @property {string} onnxruntime
 * @property {number} load load average of the last minute before the bench
 */

/** @returns {Machine} */
export function machineFacts() {
  const flags = /^flags\s*:(.*)$/m.exec(readText("/proc/cpuinfo"))?.[1].trim().split(" ") ?? [];
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    vectors: VECTOR_FLAGS.filter((flag) => flags.includes(flag)),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: /^PRETTY_NAME="(.*)"$/m.exec(readText("/etc/os-release"))?.[1] ?? process.platform,
    arch: arch(),
    node: process.versions.node,
    onnxruntime: onnxruntimeVersion(),
    load: loadavg()[0],
  };
}

/**
 * @param {Machine} machine
 * @returns {string}
 */
export function describeMachine(machine) {
  const { cpu, cores, vectors, memoryGiB, system, arch, node, onnxruntime, load } = machine;
  return (
    `${cpu} (${arch}, ${vectors.join(" ")}), ${cores} cores, ${memoryGiB} GiB, ${system}; ` +
    `Node ${node}, onnxruntime ${onnxruntime}; load average before the bench ${load.toFixed(1)}`
  );
}

/** @returns {string} */
function onnxruntimeVersion() {
  const require = createRequire(import.meta.url);
  const { version } = /** @type {{ version: string }} */ (require("onnxruntime-node/package.json"));
  return version;
}

/**
 * @param {string} path
 * @returns {string} "" where there is no such file
 */
function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
