/** The examples, run as users run them, on the built package; and the library by the names that it promises. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  datasets,
  evaluateModel,
  kernels,
  loadModel,
  maps,
  readRun,
  train,
  weights,
  zoo,
} from "../src/index.js";
import { KOFN, type Result, run } from "./cli/process.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kofn-examples-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function example(name: string, ...args: string[]): Promise<Result> {
  return run(process.execPath, [join("examples", name), ...args], { cwd: ROOT });
}

/** How many ones each run of `length` values has. */
function onesPerRun(values: Uint8Array, length: number): Set<number> {
  const counts = new Set<number>();
  for (let at = 0; at < values.length; at += length) {
    counts.add(values.subarray(at, at + length).reduce((sum, value) => sum + value, 0));
  }
  return counts;
}

describe("train-glyphs.js", () => {
  test("trains, prints what it says, and saves a run with exactly k of n", async () => {
    const out = join(folder, "glyphs");
    const { code, stdout, stderr } = await example("train-glyphs.js", out, "1500");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const { report, masks } = await readRun(out);
    const accuracy = report.result.test.accuracy;
    expect(accuracy).toBeGreaterThan(0.5);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 5)).toEqual(
      [1, 2, 3, 4, 5].map(
        (epoch) => expect.stringMatching(`^epoch ${epoch}: validation 0\\.\\d+$`) as string,
      ),
    );
    expect(lines.slice(5)).toEqual([
      `test accuracy ${accuracy}`,
      "16000 of 266200 weights, 16.6x",
      "fc1: 40 of 784 in each of 300 groups",
      "fc2: 30 of 300 in each of 100 groups",
      `saved to ${out}`,
    ]);
    expect([...masks.keys()]).toEqual(["fc1.weight", "fc2.weight"]);
    expect(onesPerRun(masks.get("fc1.weight")?.array() ?? new Uint8Array(), 784)).toEqual(new Set([40]));
    expect(onesPerRun(masks.get("fc2.weight")?.array() ?? new Uint8Array(), 300)).toEqual(new Set([30]));
  });

  test("is what the README shows", async () => {
    const source = await readFile(join(ROOT, "examples/train-glyphs.js"), "utf8");
    const code = source.slice(source.indexOf("import "));
    expect(await readFile(join(ROOT, "README.md"), "utf8")).toContain(code);
  });
});

/** loss = mean((relu(x w) - target)^2) and its gradient in w, by hand. */
function byHand(x: number[][], target: number[][], w: number[][]): { loss: number; gradient: number[][] } {
  let loss = 0;
  const gradient = w.map((row) => row.map(() => 0));
  for (const [i, row] of x.entries()) {
    for (const [j, wanted] of target[i].entries()) {
      const product = row.reduce((sum, value, m) => sum + value * w[m][j], 0);
      const error = Math.max(product, 0) - wanted;
      loss += error ** 2 / 8;
      if (product > 0) for (const [m, value] of row.entries()) gradient[m][j] += (2 * error * value) / 8;
    }
  }
  return { loss, gradient };
}

describe("gradients.js", () => {
  test("prints the graph, and descends as the gradient by hand does", async () => {
    const { code, stdout, stderr } = await example("gradients.js");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toContain("%product: float32[4, 2] = MatMul(%x, %w)\n");
    expect(stdout).toContain("%d/product: float32[4, 2] = kofn.ReluGrad(");
    expect(stdout).toContain("output %w/new: float32[3, 2]\n");
    const x = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]; // prettier-ignore
    const target = [[1, 0], [0, 1], [0, 0], [1, 1]]; // prettier-ignore
    let w = [[0.3, 0.1], [0.1, 0.3], [0.2, 0.2]]; // prettier-ignore
    const expected = [0, 1, 2, 3, 4].map((step) => {
      const { loss, gradient } = byHand(x, target, w);
      w = w.map((row, m) => row.map((value, j) => value - 0.5 * gradient[m][j]));
      return `step ${step}: loss ${loss.toFixed(4)}`;
    });
    expect(stdout.trimEnd().split("\n").slice(-5)).toEqual(expected);
  });
});

describe("the library", () => {
  test("trains a network with rules of every granularity, and saves a run that evaluates to its report", async () => {
    const data = datasets.glyphs();
    const trained = await train({
      model: zoo.lenet5(),
      data,
      prune: { "conv*": kernels({ keep: 0.25 }), conv1: maps({ k: 12 }), fc1: weights({ k: 40 }) },
      epochs: 1,
      limit: 256,
    });
    expect(trained.report.layers).toMatchObject([
      { name: "conv1", granularity: "maps", groups: 1, n: 20, k: 12 },
      { name: "conv2", granularity: "kernels", groups: 50, n: 20, k: 5 },
      { name: "fc1", granularity: "weights", groups: 500, n: 800, k: 40 },
    ]);
    const out = join(folder, "contract");
    await trained.save(out);
    await expect(trained.save(out)).rejects.toThrow("already holds a run");
    const { modelPath, report } = await readRun(out);
    expect(report).toEqual(trained.report);
    const { accuracy } = await evaluateModel(await loadModel(modelPath), data.test, data);
    expect(accuracy).toBe(report.result.test.accuracy);
  });
});

/** The options that a command's help offers, each with its description. */
function offered(help: string): [option: string, description: string][] {
  const [, rest] = help.split("Options:\n");
  const [options] = rest.split("\n\n");
  const unwrapped = options.replaceAll(/\n {10,}(?! *-)/g, " ");
  return [...unwrapped.matchAll(/^ {2}(--\S+(?: <\S+>)?) +(.+)$/gm)].map(([, option, text]) => [
    option,
    text,
  ]);
}

describe("docs/cli.md", () => {
  test.each(["train", "eval", "inspect", "run", "bench", "data list", "data get"])(
    "has the options of kofn %s",
    async (command) => {
      const { stdout } = await run(process.execPath, [KOFN, ...command.split(" "), "--help"]);
      const text = await readFile(join(ROOT, "docs/cli.md"), "utf8");
      const section = text.split(/^## /m).find((part) => part.startsWith(`kofn ${command}\n`)) ?? "";
      const documented = [...section.matchAll(/^\| `(--.+?)` \| (.+) \|$/gm)].map(([, option, about]) => [
        option,
        about,
      ]);
      expect(documented).not.toEqual([]);
      expect(documented).toEqual(offered(stdout));
    },
  );
});
