/** Memory for kernels: as much as is needed, in as few pieces as hold it, as each takes many addresses from the system. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KofnError } from "../../src/errors.js";
import { kernelFor } from "../../src/host/memory.js";
import { HostSampler } from "../../src/host/sampler.js";
import { SamplerMemory } from "../../src/host/sampler-memory.js";
import { type HostSamplerOptions, roomsFor } from "../../src/host/sampler-room.js";
import { SerialSamplers } from "../../src/host/serial.js";
import { optimizerOf } from "../../src/optim/optimizer.js";

const PAGE = 65_536;
const ADAM = optimizerOf({ kind: "adam", lr: 0.1 });

function layers(count: number): HostSamplerOptions[] {
  const sizes = Array.from({ length: count }, (_, i) => ({ rows: 5 + (i % 7), n: 40 + i, most: 3 }));
  return sizes.map((size, i) => {
    return { ...size, seed: 1, name: `layer ${i}`, optimizer: ADAM, entropy: 0, weights: ADAM };
  });
}

/** Bytes of the arrays of a sampler, of its noise, and a generous number for what else it needs. */
function needed({ rows, n }: HostSamplerOptions): number {
  return 9 * 4 * rows * n + 4 * 2 ** 16 + 80_000;
}

describe("kernelFor", () => {
  test.each([false, true])("takes what is needed, and can take no more (shared: %s)", (isShared) => {
    const { kernel, begins } = kernelFor([100, 3 * PAGE], isShared);
    expect(begins[1] - begins[0]).toBe(128);
    expect(kernel.memory.buffer.byteLength).toBe(4 * PAGE);
    expect(() => kernel.memory.grow(1)).toThrow(RangeError);
  });

  test.each([false, true])("says how much the system does not give (shared: %s)", (isShared) => {
    const make = (): unknown => kernelFor([5 * 2 ** 30], isShared);
    expect(make).toThrow(KofnError);
    expect(make).toThrow(/5120 MiB.*ulimit -v/);
  });
});

describe("samplers", () => {
  test.each([1, 2])("lie in one memory, of the size that they need (%i threads)", (threads) => {
    const options = layers(60);
    const rooms = roomsFor(options, threads);
    expect(new Set(rooms.map(({ kernel }) => kernel)).size).toBe(1);
    const { memory } = rooms[0].kernel;
    expect(memory.buffer.byteLength).toBeLessThan(options.reduce((sum, one) => sum + needed(one), PAGE));
    expect(() => memory.grow(1)).toThrow(RangeError);
  });

  test("lie in several where one does not hold them, and compute the same", () => {
    const options = layers(10);
    const most = 2.5 * needed(options[0]);
    const rooms = roomsFor(options, 1, most);
    const memories = [...new Set(rooms.map(({ kernel }) => kernel.memory))];
    expect(memories.length).toBe(5);
    for (const { buffer } of memories) expect(buffer.byteLength).toBeLessThanOrEqual(most + 2 * PAGE);
    const apart = options.map((own, i) => new HostSampler(own, rooms[i]));
    const together = new SerialSamplers(options).all;
    for (const samplers of [apart, together]) {
      for (const [i, one] of samplers.entries()) {
        one.logits.forEach((_, j) => (one.logits[j] = Math.sin(i + j)));
        one.sample(4, 0.5, 3);
      }
    }
    expect(apart.map(({ perturbed }) => perturbed)).toEqual(together.map(({ perturbed }) => perturbed));
  });

  test("compute the same beyond 2 GiB", () => {
    const [own] = layers(1);
    const [{ layout }] = roomsFor([own]);
    const { kernel, begins } = kernelFor([2 ** 31, ...layout.pieces]);
    const [far, near] = [
      new HostSampler(own, { kernel, layout, begins: begins.slice(1) }),
      new HostSampler(own),
    ];
    for (const one of [far, near]) {
      one.logits.forEach((_, i) => (one.logits[i] = Math.sin(i)));
      one.weights?.values.forEach((_, i, values) => (values[i] = Math.cos(i)));
      one.sample(1, 0.5, 3);
      one.gradient.forEach((_, i) => (one.gradient[i] = Math.sin(3 * i)));
      one.update(0.7, ADAM.scalars(1, 0.1), ADAM.scalars(1, 0.1));
    }
    expect(far.logits.byteOffset).toBeGreaterThan(2 ** 31);
    for (const name of ["mask", "perturbed", "logits"] as const) expect(far[name]).toEqual(near[name]);
    expect(far.weights).toEqual(near.weights);
  });

  test("need no memory of their own", () => {
    const options = layers(2);
    const rooms = roomsFor(options);
    const [a, b] = options.map((own, i) => new SamplerMemory(own, rooms[i]));
    expect(a.kernel).toBe(b.kernel);
    expect(a.address).not.toBe(b.address);
  });
});

describe("a process with few addresses", () => {
  /** Samples in 60 layers and prints their masks. */
  const SCRIPT = `
    import { SerialSamplers } from "./serial.js";
    import { ThreadedSamplers } from "./threads.js";
    import { optimizerOf } from "../optim/optimizer.js";
    const optimizer = optimizerOf({ kind: "adam", lr: 0.1 });
    const layers = Array.from({ length: 60 }, (_, i) =>
      ({ rows: 8, n: 100 + i, most: 3, seed: 1, name: "layer " + i, optimizer, entropy: 0 }));
    const threads = Number(process.argv[2]);
    const samplers = threads > 1 ? new ThreadedSamplers(layers, threads) : new SerialSamplers(layers);
    await samplers.open();
    samplers.sample({ step: 0, beta: 1, k: layers.map(() => 3) });
    console.log(samplers.all.map(({ mask }) => mask.reduce((sum, bit) => sum + bit)).join());
    await samplers.close();
  `;
  /** Node takes 1 GiB for itself and 10 for each memory: these are enough for three. */
  const KIBIBYTES = 40 * 2 ** 20;

  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "kofn-memory-"));
    const resolveDir = fileURLToPath(new URL("../../src/host/", import.meta.url));
    const stdin = { contents: SCRIPT, resolveDir };
    await build({
      stdin,
      bundle: true,
      format: "esm",
      platform: "node",
      outfile: join(folder, "script.mjs"),
    });
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test.each([1, 2])("has enough for 60 layers, also bundled (%i threads)", (threads) => {
    const command = `ulimit -v ${KIBIBYTES}; exec "$0" "$@"`;
    const parameters = ["-c", command, process.execPath, join(folder, "script.mjs"), String(threads)];
    const said = execFileSync("bash", parameters, { encoding: "utf8" });
    expect(said.trim()).toBe(Array.from({ length: 60 }, () => 24).join());
  });
});
