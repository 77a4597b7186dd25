/** Wrong command lines, configs and files: each with exit code 2, a message on what and where, and no folder left behind. */

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zoo } from "../../src/models/zoo.js";
import { saveModel } from "../../src/files/models.js";
import { idxBytes } from "../datasets/files.js";
import { inParallel, kofn, writeDigits } from "./process.js";

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-bad-"));
  await writeDigits(join(base, "digits"), 100, 20);
  await saveModel(zoo.lenet5(), join(base, "net.onnx"));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

/** Runs commands (as one text each) and gives what they say on stderr. All must end with exit code 2. */
async function refusals(commands: readonly string[]): Promise<Record<string, string>> {
  const before = (await readdir(base, { recursive: true })).sort();
  // Commands run side by side, and a run directory belongs to one process at a time.
  const own = (command: string): string =>
    command.replace("--out out", `--out out${commands.indexOf(command)}`);
  const results = await inParallel(commands, (command) => kofn(own(command).split(" "), { cwd: base }));
  const said: Record<string, string> = {};
  for (const [i, command] of commands.entries()) {
    const { code, stdout, stderr } = results[i];
    said[command] = stderr.trim();
    expect([command, code, stdout]).toEqual([command, 2, ""]);
    expect(stderr).not.toMatch(/^ +at /m);
  }
  expect((await readdir(base, { recursive: true })).sort()).toEqual(before);
  return said;
}

const RUN = "--data mnist --data-dir digits --out out";

test("command lines", async () => {
  expect(
    await refusals([
      "tran",
      "train",
      "train lenet-5 --epoch 3",
      `train lenet5 ${RUN}`,
      `train none.onnx ${RUN}`,
      `train lenet-5 ${RUN} --prune fc9=weights:40`,
      `train lenet-5 ${RUN} --prune fc1=weights:801`,
      `train lenet-5 ${RUN} --prune fc1=weights:0`,
      `train lenet-5 ${RUN} --prune conv1=weights:2:4`,
      `train lenet-5 ${RUN} --epochs 0`,
      `train lenet-5 ${RUN} --lr fast`,
      "train --config missing.yaml",
      `train lenet-5 ${RUN} --provider cuda`,
      `train lenet-5 ${RUN} --batch 2000`,
      "train lenet-5 --data mnits --out out",
      "train lenet-5 --data mnist --data-dir nowhere --out out",
      "eval net.onnx",
      "eval net.onnx --data mnist --data-dir digits --split all",
      "eval nothing",
      "eval digits",
      "inspect nothing.onnx",
      "data get glyfs",
      "data get mnist --mirror nowhere",
    ]),
  ).toMatchInlineSnapshot(`
    {
      "data get glyfs": "error: data set "glyfs": nothing to download is known by that name. Data sets: mnist, fashion-mnist, kmnist, cifar10, cifar100.",
      "data get mnist --mirror nowhere": "error: mirror "nowhere": expected the http or https URL of a folder, such as https://example.org/mnist/.",
      "eval digits": "error: run directory "digits": expected a folder that kofn train has written. Missing: model.onnx, report.json, masks.safetensors, metrics.jsonl, config.json.",
      "eval net.onnx": "error: kofn eval net.onnx: a model file does not say what it is for; name a data set with --data.",
      "eval net.onnx --data mnist --data-dir digits --split all": "error: --split: expected test, validation or train, got "all".",
      "eval nothing": "error: nothing: can't open the model: there is no such file",
      "inspect nothing.onnx": "error: nothing.onnx: can't open the model: there is no such file",
      "train": "error: kofn train: which model? Name one of the zoo (lenet-300-100, lenet-5, vgg-16-bn, resnet-20, resnet-32, resnet-56, resnet-18, resnet-50, mobilenet-v2) or the path of an .onnx file.",
      "train --config missing.yaml": "error: config file "missing.yaml": can't read it: ENOENT: no such file or directory, stat 'missing.yaml'.",
      "train lenet-5 --data mnist --data-dir digits --out out --batch 2000": "training lenet-5 on mnist: 20 epochs, seed 1, 2 threads
    error: a batch of 2000 is more than the 90 training samples; choose a smaller batch",
      "train lenet-5 --data mnist --data-dir digits --out out --epochs 0": "error: --epochs: expected a whole number of at least 1, got 0.",
      "train lenet-5 --data mnist --data-dir digits --out out --lr fast": "error: --lr: expected a number above 0, got "fast".",
      "train lenet-5 --data mnist --data-dir digits --out out --provider cuda": "error: --provider cuda: this version of kofn runs on cpu and wasm.",
      "train lenet-5 --data mnist --data-dir digits --out out --prune conv1=weights:2:4": "error: prune spec "conv1=weights:2:4": layer "conv1" (weight [20, 1, 5, 5]) has 25 weights per output channel, which tiles of 4 do not divide.",
      "train lenet-5 --data mnist --data-dir digits --out out --prune fc1=weights:0": "error: prune spec "fc1=weights:0": k = 0 would keep nothing. The smallest k is 1.",
      "train lenet-5 --data mnist --data-dir digits --out out --prune fc1=weights:801": "error: prune spec "fc1=weights:801": layer "fc1" (weight [500, 800]) has 800 weights per output channel, fewer than k = 801.",
      "train lenet-5 --data mnist --data-dir digits --out out --prune fc9=weights:40": "error: prune spec "fc9=weights:40": no layer matches "fc9". Layers: conv1, conv2, fc1, fc2.",
      "train lenet-5 --data mnist --data-dir nowhere --out out": "error: data set mnist: nowhere lacks train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz]; found there: no such folder. Get the files with "kofn data get mnist", or name their folder with --data-dir.",
      "train lenet-5 --data mnits --out out": "error: data set "mnits": no such data set. Data sets: glyphs, mnist, fashion-mnist, kmnist, cifar10, cifar100; or the path of a folder with a folder of images for each class, of a .parquet file, or of a folder of these.",
      "train lenet-5 --epoch 3": "error: unknown option '--epoch'
    (Did you mean --epochs?)",
      "train lenet5 --data mnist --data-dir digits --out out": "error: model "lenet5": no model of the zoo has this name, and there is no such file. Did you mean "lenet-5"? Models: lenet-300-100, lenet-5, vgg-16-bn, resnet-20, resnet-32, resnet-56, resnet-18, resnet-50, mobilenet-v2, or the path of an .onnx file.",
      "train none.onnx --data mnist --data-dir digits --out out": "error: none.onnx: can't open the model: there is no such file",
      "tran": "error: unknown command 'tran'
    (Did you mean train?)",
    }
  `);
});

test("settings that contradict each other, before data are looked for", async () => {
  const nowhere = "train lenet-5 --data mnist --data-dir nowhere --out out --prune fc1=weights:32";
  const said = await refusals([
    `${nowhere} --freeze-from 10% --shrink 0:0.5`,
    `${nowhere} --budget 10x --macs 30%`,
    `${nowhere} --momentum 0.9`,
  ]);
  expect(Object.values(said)).toMatchInlineSnapshot(`
    [
      "error: masks can't be frozen after 10% of training (freezeFrom, --freeze-from), as k shrinks until 50% of it (sampler.shrink, --shrink); freeze later, or let k shrink over less of training",
      "error: budget "10x" of weights and macs "30%": a run has one budget. Leave one of them out.",
      "error: momentum 0.9 goes with the optimizer sgd, and this run has adam. Choose sgd (--optimizer sgd) or leave momentum out.",
    ]
  `);
});

test("run directories", async () => {
  await mkdir(join(base, "project"));
  await writeFile(join(base, "project/thesis.tex"), "");
  await mkdir(join(base, "held"));
  await writeFile(join(base, "held/config.json"), "{}");
  await writeFile(join(base, "held/metrics.jsonl"), "");
  const into = (out: string): string => `train lenet-5 --data mnist --data-dir digits --out ${out}`;
  expect(
    await refusals([
      into("project"),
      into("project --overwrite"),
      into("held"),
      into("net.onnx"),
      into("/proc/kofn/a"),
    ]),
  ).toMatchInlineSnapshot(`
    {
      "train lenet-5 --data mnist --data-dir digits --out /proc/kofn/a": "error: run directory "/proc/kofn/a": can't write there: a folder can't be made there. Choose another folder.",
      "train lenet-5 --data mnist --data-dir digits --out held": "error: run directory "held": the folder already holds a run that was not finished. Choose another folder, replace the run (--overwrite; overwrite: true in the library), or go on with one that was stopped (--resume).",
      "train lenet-5 --data mnist --data-dir digits --out net.onnx": "error: run directory "net.onnx": can't write there: the path, or a part of it, is a file and no folder. Choose another folder.",
      "train lenet-5 --data mnist --data-dir digits --out project": "error: run directory "project": the folder is not empty and holds no run (found thesis.tex). Choose a new or an empty folder.",
      "train lenet-5 --data mnist --data-dir digits --out project --overwrite": "error: run directory "project": the folder is not empty and holds no run (found thesis.tex). Choose a new or an empty folder.",
    }
  `);
});

test("damaged files", async () => {
  const model = await readFile(join(base, "net.onnx"));
  await writeFile(join(base, "half.onnx"), model.subarray(0, model.length / 2));
  await writeFile(join(base, "text.onnx"), "no model");
  const sound = (await readdir(join(base, "digits"))).sort();
  const damage = async (name: string, file: string, bytes: Uint8Array): Promise<string> => {
    await mkdir(join(base, name));
    for (const other of sound) await copyFile(join(base, "digits", other), join(base, name, other));
    await rm(join(base, name, file.replace(".gz", "")));
    await writeFile(join(base, name, file), bytes);
    return `train lenet-5 --data mnist --data-dir ${name} --out out`;
  };
  const labels = await readFile(join(base, "digits/train-labels-idx1-ubyte"));
  const images = await readFile(join(base, "digits/train-images-idx3-ubyte"));
  const said = await refusals([
    `train half.onnx ${RUN}`,
    `train text.onnx ${RUN}`,
    "inspect half.onnx",
    await damage(
      "gzip",
      "train-images-idx3-ubyte.gz",
      Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8),
    ),
    await damage("magic", "train-labels-idx1-ubyte", Uint8Array.of(1, 2, 3, 4, ...labels.subarray(4))),
    await damage("short", "train-images-idx3-ubyte", images.subarray(0, 5000)),
    await damage("range", "train-labels-idx1-ubyte", idxBytes([100], new Uint8Array(100).fill(77))),
    await damage("count", "train-labels-idx1-ubyte", idxBytes([90], new Uint8Array(90))),
  ]);
  for (const [command, message] of Object.entries(said)) {
    const named = /--data-dir (?!digits)(\S+)/.exec(command)?.[1] ?? /\S+\.onnx/.exec(command)?.[0];
    expect(message.startsWith("error: ")).toBe(true);
    expect(message).toContain(named);
    expect(message.split("\n")).toHaveLength(1);
  }
});
