/** `kofn train --dump`: the graphs of a step, as files that can be opened and read. */

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/files/models.js";
import { kofn } from "./process.js";

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-dump-"));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

const RUN = "train lenet-300-100 --limit 128 --epochs 1 --prune fc1=weights:40".split(" ");

test("writes the model as imported, its step as differentiated, and lowered", async () => {
  const { code, stderr } = await kofn([...RUN, "--out", "run", "--dump", "graphs/deep"], { cwd: base });
  expect(code).toBe(0);
  expect(stderr).toContain("the graphs of a step are in graphs/deep");
  const folder = join(base, "graphs/deep");
  expect((await readdir(folder)).sort()).toEqual(
    ["imported", "lowered", "step"].flatMap((name) => [`${name}.onnx`, `${name}.txt`]),
  );
  const [imported, step, lowered] = await Promise.all(
    ["imported", "step", "lowered"].map((name) => loadModel(join(folder, `${name}.onnx`))),
  );
  expect(imported.graph.outputs.map(({ name }) => name)).toEqual(["logits"]);
  expect(step.graph.nodes.some(({ op }) => op === "SoftmaxCrossEntropy")).toBe(true);
  expect(lowered.graph.nodes.some(({ domain }) => domain === "kofn")).toBe(false);
  expect(await readFile(join(folder, "step.txt"), "utf8")).toContain("SoftmaxCrossEntropy(%logits, %labels");
});

test("says where it can't be written, and leaves no run", async () => {
  await writeFile(join(base, "file"), "");
  const { code, stderr } = await kofn([...RUN, "--out", "other", "--dump", "file/graphs"], { cwd: base });
  expect(code).toBe(2);
  expect(stderr).toMatch(/error: --dump file\/graphs: expected a folder that can be written, but .*ENOTDIR/);
  expect(await readdir(base)).not.toContain("other");
});
