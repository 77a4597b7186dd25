/** `kofn compare` as a process: what it trains, takes, resumes, writes and refuses. */

import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CompareDocument } from "../../src/compare/types.js";
import { kofn, type Result } from "./process.js";

const SMALL = ["--data", "glyphs", "--limit", "640", "--epochs", "1", "--threads", "1"];
const ALL = ["--methods", "dpp,random,dense", "--budgets", "10x,50x", "--seeds", "1,2"];

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-compare-"));
});
afterAll(() => rm(base, { recursive: true, force: true }));

const compare = (...args: string[]): Promise<Result> =>
  kofn(["compare", "lenet-300-100", ...SMALL, ...args], { cwd: base });

const bytesOf = (run: string): Promise<Buffer> => readFile(join(base, run, "model.onnx"));

test("trains all runs, writes the table, and takes what is there", async () => {
  const first = await compare(...ALL, "--out", "a", "--json");
  expect(first.stderr).toContain("10 runs: 0 are there, 10 to train");
  expect(first.code).toBe(0);
  const document = JSON.parse(first.stdout) as CompareDocument;
  expect(document.rows.map(({ method, budget, seeds }) => [method, budget, seeds])).toEqual([
    ["dpp", "10x", [1, 2]],
    ["dpp", "50x", [1, 2]],
    ["random", "10x", [1, 2]],
    ["random", "50x", [1, 2]],
    ["dense", "dense", [1, 2]],
  ]);
  expect(document.rows.map(({ kept }) => kept)).toEqual([26600, 5320, 26600, 5320, 266200]);
  for (const { latencyUs } of document.rows) expect(latencyUs).toBeGreaterThan(0);
  expect(document.pairs.map(({ budget, a, b }) => [budget, a, b])).toEqual([
    ["10x", "dpp", "random"],
    ["50x", "dpp", "random"],
  ]);
  expect(JSON.parse(await readFile(join(base, "a/compare.json"), "utf8"))).toEqual(document);
  for (const file of ["compare.csv", "compare.md", "compare.svg"]) {
    expect((await stat(join(base, "a", file))).size).toBeGreaterThan(200);
  }
  const alone = ["train", "lenet-300-100", ...SMALL, "--method", "random", "--budget", "10x", "--seed", "2"];
  await kofn([...alone, "--out", "alone"], { cwd: base });
  expect(Buffer.compare(await bytesOf("alone"), await bytesOf("a/runs/random-10x-2"))).toBe(0);

  const more = await compare("--methods", "dpp,set", "--budgets", "10x", "--seeds", "1,2", "--out", "a");
  expect(more.stderr).toContain("4 runs: 2 are there, 2 to train");
  expect(more.stdout).toMatch(/^budget +method +runs +test error/);
  const other = await compare(...ALL, "--batch", "32", "--out", "a");
  expect([other.code, other.stderr]).toEqual([
    2,
    expect.stringMatching(/holds a run of another comparison: batch is 64 there, and 32 is asked for/),
  ]);
});

test("goes on with what was stopped", async () => {
  const args = ["--methods", "random", "--budgets", "10x", "--seeds", "1", "--out", "stopped"];
  // Of options that are given twice the last one counts.
  const long = ["--epochs", "6"];
  const stopped = await kofn(["compare", "lenet-300-100", ...SMALL, ...long, ...args], {
    cwd: base,
    onSpawn: (child) => {
      const look = setInterval(() => {
        stat(join(base, "stopped/runs/random-10x-1/checkpoint")).then(
          () => {
            clearInterval(look);
            child.kill("SIGINT");
          },
          () => undefined,
        );
      }, 5);
    },
  });
  expect(stopped.code, stopped.stderr).toBe(130);
  expect(stopped.stderr).toContain("the same command goes on");
  const whole = await kofn(["compare", "lenet-300-100", ...SMALL, ...long, ...args], { cwd: base });
  expect(whole.code, whole.stderr).toBe(0);
  const alone = [
    "train",
    "lenet-300-100",
    ...SMALL,
    ...long,
    "--method",
    "random",
    "--budget",
    "10x",
    "--seed",
    "1",
  ];
  await kofn([...alone, "--out", "uninterrupted"], { cwd: base });
  expect(Buffer.compare(await bytesOf("uninterrupted"), await bytesOf("stopped/runs/random-10x-1"))).toBe(0);
});

test("says what would run, and how long, without writing anything", async () => {
  const { code, stdout } = await compare(...ALL, "--out", "planned", "--plan");
  expect(code).toBe(0);
  expect(stdout).toMatch(/runs\/dpp-50x-2 +dpp +50x +2/);
  expect(stdout).toMatch(
    /10 runs of lenet-300-100 on 640 samples, about \d+:\d\d each: about \d+:\d\d with \d at a time/,
  );
  await expect(stat(join(base, "planned"))).rejects.toThrow("ENOENT");
});

describe("refused is", () => {
  const out = ["--out", "refused"];
  test.each<[string, string[], RegExp]>([
    [
      "an unknown method",
      ["--methods", "dpp,riggl", "--budgets", "10x"],
      /no method "riggl". Did you mean "rigl"/,
    ],
    ["a method twice", ["--methods", "dpp,dpp", "--budgets", "10x"], /"dpp" stands there twice/],
    [
      "a method that can't do a granularity",
      ["--methods", "rigl", "--set", "a=fc1=maps:50%"],
      /"rigl" prunes weights/,
    ],
    ["no budget", ["--methods", "dpp"], /got neither/],
    ["budgets and sets", ["--methods", "dpp", "--budgets", "10x", "--set", "a=fc1=none"], /got both/],
    ["a budget that is none", ["--methods", "dpp", "--budgets", "10y"], /10y/],
    ["a set without rules", ["--methods", "dpp", "--set", "half"], /expected NAME=LAYER=RULE/],
    [
      "a seed that is none",
      ["--methods", "dpp", "--budgets", "10x", "--seeds", "1,x"],
      /whole numbers.*got "x"/,
    ],
    ["one method for all", ["--methods", "dpp", "--budgets", "10x", "--method", "set"], /use --methods/],
    [
      "an option of learned masks with another method",
      ["--methods", "set", "--budgets", "10x", "--beta", "0"],
      /--beta/,
    ],
  ])("%s", async (_, args, message) => {
    const { code, stderr } = await compare(...args, ...out);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    await expect(stat(join(base, "refused"))).rejects.toThrow("ENOENT");
  });
});
