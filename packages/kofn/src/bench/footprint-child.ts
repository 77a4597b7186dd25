/**
 * What {@link footprint} measures, in a process of its own: loads a network, runs it, and prints milliseconds and bytes. What is
 * imported here at the top counts as the bare process; engines are imported later.
 */

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { kofnRunner, onnxRunner, openPeer, type Runner } from "./engines.js";
import type { Footprint, FootprintTask } from "./footprint.js";

/** Enough for all memory that only running takes. */
const RUNS = 5;

/**
 * The most memory that this process has held: on Linux VmHWM, as the figure of getrusage begins with that of the process that has
 * started this one.
 */
function peakBytes(): number {
  if (process.platform !== "linux") return 1024 * process.resourceUsage().maxRSS;
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return 1024 * Number(found?.[1]);
}

async function open({ engine, path, names, dims, threads }: FootprintTask): Promise<[Runner, number]> {
  const values = new Float32Array(dims.reduce((size, dim) => size * dim, 1)).fill(0.5);
  const batch = { dims, values };
  if (engine === "kofn") {
    const { load } = await import("@kofn/runtime");
    const begin = performance.now();
    const net = await load(await readFile(path), { threads });
    return [kofnRunner(net, batch), performance.now() - begin];
  }
  await openPeer(engine, threads);
  const begin = performance.now();
  const runner = await onnxRunner(engine, path, names, batch, threads);
  return [runner, performance.now() - begin];
}

const bare = peakBytes();
const [runner, loadMs] = await open(JSON.parse(process.argv[2]) as FootprintTask);
for (let i = 0; i < RUNS; i++) await runner.run();
const footprint: Footprint = { loadMs, memoryBytes: peakBytes() - bare };
process.stdout.write(JSON.stringify(footprint));
