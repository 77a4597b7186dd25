/** `kofn bench` as a process, and the words for its figures. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Comparison, EngineFigures, FileFigures } from "../../src/bench/compare.js";
import { openSubject } from "../../src/bench/subject.js";
import { benchReport } from "../../src/cli/bench-report.js";
import { linearModel, sidesModel, writeKofn } from "../support/kofn-files.js";
import { tinyModel } from "../support/tiny.js";
import { inParallel, kofn, type Options, type Result, withoutPackage } from "./process.js";

let base: string;
const cli = (args: string, options: Options = {}): Promise<Result> =>
  kofn(args.split(" "), { cwd: base, ...options });

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-bench-test-"));
  await Promise.all([
    writeKofn(join(base, "sides.kofn"), sidesModel()),
    writeKofn(join(base, "tiny.kofn"), tinyModel()),
    writeKofn(
      join(base, "two.kofn"),
      linearModel([2, 16], 3, (of, i) => Number(i % 3 === of)),
    ),
    writeFile(join(base, "text.kofn"), "no network"),
  ]);
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

test("compares files with both of onnxruntime's packages, and explains layers", async () => {
  const { code, stdout, stderr } = await cli("bench sides.kofn tiny.kofn --runs 5 --explain");
  expect(code, stderr).toBe(0);
  expect(stderr.trim().split("\n")).toEqual([
    "sides.kofn: loaded by kofn, onnxruntime-node, onnxruntime-web",
    "tiny.kofn: loaded by kofn, onnxruntime-node, onnxruntime-web",
    ...Array.from({ length: 10 }, (_, i) => `round ${i + 1} of 10`),
  ]);
  const [head, sides, tiny, overview, ...layers] = stdout.trim().split("\n\n");
  expect(head).toMatch(
    /^.+ cores, load average \d+\.\d before the bench; Node \d.*\nbatch 1, 1 thread each; latency: median \[quartiles\] of [\d,]+ runs or more in 10 rounds/,
  );
  expect(sides).toMatch(/^sides\.kofn: linear, input 1x4x4, 16 of 48 weights \(33\.33 %\)\n/);
  expect(tiny).toMatch(/^tiny\.kofn: tiny, input 1x8x8, 144 of 144 weights \(100\.00 %\)\n/);
  for (const part of [sides, tiny]) {
    for (const engine of ["kofn", "onnxruntime-node", "onnxruntime-web"]) {
      expect(part).toMatch(new RegExp(`^${engine} +[\\d.]+ [µm]?s \\[.* [kM]?B +[\\d.]+ [kM]?B$`, "m"));
    }
    expect(
      part.match(/^beside onnxruntime-(node|web): .* as fast .*; loads .*; the same results, to \d/gm),
    ).toHaveLength(2);
  }
  expect(overview).toMatch(
    /^file +weights +latency +samples\/s +over onnxruntime-node +over onnxruntime-web/,
  );
  expect(overview.split("\n")).toHaveLength(3);
  expect(layers).toHaveLength(2);
  expect(layers[0]).toMatch(/^fc +weights 1:3 |^fc +weights +/m);
  expect(layers[1]).toMatch(/^conv +dense +100\.00 % +32 +1,296 +92\.31 % +taps/m);
}, 120_000);

test("--json is one document; without one of onnxruntime's packages the other one is compared with", async () => {
  const { code, stdout, stderr } = await cli("bench two.kofn --batch 2 --runs 5 --json", {
    env: withoutPackage("onnxruntime-node"),
  });
  expect(code, stderr).toBe(0);
  expect(stderr).toContain(
    "NOT COMPARED WITH onnxruntime-node: the package onnxruntime-node can't be loaded",
  );
  expect(JSON.parse(stdout)).toMatchObject({
    batch: 2,
    threads: 1,
    machine: { node: process.versions.node },
    files: [
      {
        path: "two.kofn",
        model: "linear",
        input: [1, 16],
        output: [1, 3],
        engines: [
          { engine: "kofn" },
          { engine: "onnxruntime-web", comparison: { peer: "onnxruntime-web", agrees: true } },
        ],
        layers: [{ name: "fc", kept: 16, macsKept: 16, bits: 32 }],
      },
    ],
  });
});

test("refuses what it can't time with exit code 2", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["bench none.kofn", /none\.kofn: can't read the file: ENOENT/],
    ["bench text.kofn", /text\.kofn: expected a \.kofn file, found something else/],
    [`bench ${base}`, /expected a \.kofn file, found a folder/],
    [
      "bench two.kofn",
      /--batch 1: the network of two\.kofn takes batches of 2 in onnxruntime; give --batch 2/,
    ],
    ["bench sides.kofn --threads 1000", /threads: expected a whole number from 1 to 256, got 1000/],
    ["bench sides.kofn --runs few", /--runs: expected a whole number of at least 1, got "few"/],
    ["bench sides.kofn --batch 0", /--batch: expected a whole number of at least 1, got "0"/],
    ["bench sides.kofn --fast", /unknown option '--fast'/],
    ["bench", /missing required argument 'file'/],
  ];
  const results = await inParallel(cases, ([args]) => cli(args));
  results.forEach(({ code, stdout, stderr }, i) => {
    const [args, message] = cases[i];
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(stderr).toMatch(message);
  });
});

const FIGURES: EngineFigures = {
  engine: "kofn",
  runs: 1200,
  latencyMs: { median: 0.0219, low: 0.02185, high: 0.0225, best: 0.0218 },
  samplesPerSecond: 45_662,
  loadMs: 44,
  memoryBytes: 9.2e6,
  fileBytes: 96_580,
};
const COMPARISON: Comparison = {
  peer: "onnxruntime-node",
  speed: 0.2083,
  bestSpeed: 0.21,
  loading: 0.5,
  memory: 1.25,
  file: 0.05,
  largestDifference: 3.2e-7,
  tolerance: 1e-4,
  agrees: true,
};

test("says where kofn is slower, takes more memory, or computes something else", async () => {
  const subject = { ...(await openSubject(join(base, "sides.kofn"), 1, 1)), path: "sides.kofn" };
  const peer = { ...FIGURES, engine: "onnxruntime-node" as const, runs: 1000 };
  const file = (comparison: Partial<Comparison>): FileFigures => ({
    subject,
    kofn: FIGURES,
    peers: [{ ...peer, comparison: { ...COMPARISON, ...comparison } }],
  });
  const lines = benchReport([file({})], { batch: 1, threads: 1 });
  expect(lines[0]).toBe(
    "batch 1, 1 thread each; latency: median [quartiles] of 1,000 runs or more in 10 rounds by turns",
  );
  expect(lines.slice(3)).toEqual([
    "engine            latency                     samples/s     load  memory     file",
    "kofn              21.9 µs [21.9 µs, 22.5 µs]     45,662  44.0 ms  9.2 MB  96.6 kB",
    "onnxruntime-node  21.9 µs [21.9 µs, 22.5 µs]     45,662  44.0 ms  9.2 MB  96.6 kB",
    "beside onnxruntime-node: slower, 0.208x as fast (fastest runs: 0.210x, slower); loads slower, 0.500x as fast; 1.25x its memory, more, 0.0500x its file; the same results, to 3.2e-7",
  ]);
  const faster = benchReport([file({ speed: 5.21, bestSpeed: 5, loading: 2 })], {
    batch: 1,
    threads: 1,
  }).join("\n");
  expect(faster).toContain(
    "beside onnxruntime-node: 5.21x as fast (fastest runs: 5.00x); loads 2.00x as fast;",
  );
  expect(faster).not.toContain("slower");
  const wrong = benchReport([file({ largestDifference: 0.02, agrees: false })], { batch: 1, threads: 1 });
  expect(wrong.at(-1)).toContain("OTHER RESULTS, by 2.0e-2 of the largest where 0.0001 is the limit");
  const several = benchReport([file({}), file({ speed: 3 })], { batch: 1, threads: 1 }).slice(-2);
  expect(several[0]).toMatch(/21\.9 µs +45,662 +0\.208x, slower +44\.0 ms/);
  expect(several[1]).toMatch(/21\.9 µs +45,662 +3\.00x +44\.0 ms/);
});
