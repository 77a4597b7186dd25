/** Config files: what they may hold, and where and what is wrong with one. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readConfigFile } from "../../src/cli/config-file.js";
import { InputError } from "../../src/errors.js";
import { rejection, temporaryFolder } from "../datasets/files.js";

const folder = temporaryFolder();

async function written(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** What reading a file with this text is refused with. */
async function refusal(name: string, text: string): Promise<string> {
  const error = await rejection(readConfigFile(await written(name, text)));
  expect(error).toBeInstanceOf(InputError);
  return error.message.replaceAll(`${folder}/`, "");
}

test("YAML and JSON say the same", async () => {
  const yaml = await written(
    "run.yaml",
    "# a run\nmodel: lenet-5\nprune:\n  - conv*=kernels:25% # comment\n  - fc1=weights:2:4\nkeep: 5%\ntau: 5:0.5\nlr: 1e-3\n",
  );
  const json = await written(
    "run.json",
    JSON.stringify({
      model: "lenet-5",
      prune: ["conv*=kernels:25%", "fc1=weights:2:4"],
      keep: "5%",
      tau: [5, 0.5],
      lr: 0.001,
    }),
  );
  const config = await readConfigFile(yaml);
  expect(config).toEqual({
    model: "lenet-5",
    prune: ["conv*=kernels:25%", "fc1=weights:2:4"],
    keep: "5%",
    tau: [5, 0.5],
    lr: 0.001,
  });
  expect(await readConfigFile(json)).toEqual(config);
});

test("unknown keys and wrong values, with their places", async () => {
  expect(await refusal("a.yaml", "model: lenet-5\nepoch: 3\n")).toMatchInlineSnapshot(
    `"a.yaml:2:1: unknown key "epoch". Did you mean "epochs"? Keys: model, data, data-dir, out, prune, keep, budget, macs, granularity, allocation, round, method, quantize, quantize-from, freeze-from, masks, epochs, batch, optimizer, lr, schedule, warmup, weight-decay, momentum, logit-lr, logit-optimizer, tau, beta, entropy, init, shrink, batch-norm, skip-bad-images, augment, normalize, recalibrate, distill, seed, threads, provider, limit."`,
  );
  expect(await refusal("a.yaml", "model: lenet-5\nbatch: many\n")).toMatchInlineSnapshot(
    `"a.yaml:2:8: batch: expected a whole number of at least 1, got "many"."`,
  );
  expect(await refusal("a.yaml", "prune:\n  - fc1=weights:40\n  - [fc2]\n")).toMatchInlineSnapshot(
    `"a.yaml:3:5: prune.1: expected a prune spec such as fc1=weights:40, got ["fc2"]."`,
  );
  expect(await refusal("a.yaml", "optimizer:\n  kind: adam\n  lr: 0\n")).toMatchInlineSnapshot(
    `"a.yaml:2:3: optimizer: expected adam, sgd, or an object with kind, lr and others, got {"kind":"adam","lr":0}."`,
  );
  expect(
    await refusal("a.yaml", "logit-optimizer:\n  kind: adam\n  lr: 1\n  beta: 1\n"),
  ).toMatchInlineSnapshot(`"a.yaml:4:3: unknown key "beta"."`);
  expect(await refusal("a.json", '{\n  "epochs": 3,\n  "lr": ".1"\n}\n')).toMatchInlineSnapshot(
    `"a.json:3:9: lr: expected a number above 0, got ".1"."`,
  );
});

test("what is no YAML, or no config", async () => {
  expect(await refusal("a.yaml", "epochs: 3\nepochs: 4\n")).toMatchInlineSnapshot(
    `"a.yaml:2:1: Map keys must be unique."`,
  );
  expect(await refusal("a.yaml", "- epochs\n")).toMatchInlineSnapshot(
    `"config file "a.yaml": expected keys with values, such as "epochs: 20"."`,
  );
  expect(await refusal("a.yaml", "")).toMatchInlineSnapshot(
    `"config file "a.yaml": expected keys with values, such as "epochs: 20"."`,
  );
  expect(await refusal("a.yaml", "prune: &a [x]\nkeep: *a\n")).toMatchInlineSnapshot(
    `"config file "a.yaml": can't be read as YAML or JSON: Alias resolution is disabled."`,
  );
  expect(await refusal("a.yaml", "[".repeat(100_000))).toMatchInlineSnapshot(
    `"config file "a.yaml": nested too deeply."`,
  );
  expect(await refusal("a.yaml", " ".repeat(1_000_001))).toMatchInlineSnapshot(
    `"config file "a.yaml": 1000001 bytes are too many; the limit is 1000000."`,
  );
  expect(await refusal("a.json", '{\n  "epochs": 3,\n  "batch": [1,\n}\n')).toMatchInlineSnapshot(
    `"a.json:4:1: Flow sequence in block collection must be sufficiently indented and end with a ]."`,
  );
  expect(await refusal("a.yaml", "\0\xff\x01: [}")).toContain("a.yaml");
  await mkdir(join(folder, "sub"));
  const error = await rejection(readConfigFile(join(folder, "sub")));
  expect(error.message).toContain("can't read it");
});
