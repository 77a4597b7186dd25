/** `kofn export --format c` and `--format mem` as processes: runs, imported models, and what is refused. */

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/files/models.js";
import { resnet20 } from "../../src/models/resnet.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { runModel, uniform } from "../import/support.js";
import { isInstalled } from "../hardware/compile.js";
import { kofn, type Result, writeDigits } from "./process.js";

const hasGcc = isInstalled("gcc");
const hasIcarus = isInstalled("iverilog", "-V");

let base: string;
const cli = (...args: string[]): Promise<Result> => kofn(args, { cwd: base });

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-export-hardware-"));
  await writeDigits(join(base, "digits"), 200, 60);
  const data = "--data mnist --data-dir digits --batch 20 --threads 1 --epochs 1".split(" ");
  const activations = ["--quantize", "activations.*=uint8"];
  const results = await Promise.all([
    cli(
      "train",
      "lenet-300-100",
      ...data,
      "--prune",
      "fc1=weights:40",
      "--prune",
      "fc2=weights:30",
      "--out",
      "float",
    ),
    cli(
      "train",
      "lenet-5",
      ...data,
      "--prune",
      "conv2=kernels:5,share:10",
      "--prune",
      "fc1=weights:20",
      "--quantize",
      "*=int8",
      ...activations,
      "--out",
      "integers",
    ),
    cli(
      "train",
      "lenet-300-100",
      ...data,
      "--prune",
      "fc1=maps:100",
      "--prune",
      "fc2=weights:20",
      "--quantize",
      "*=ternary",
      "--out",
      "ternary",
    ),
  ]);
  expect(
    results.map(({ code }) => code),
    results.map(({ stderr }) => stderr).join(""),
  ).toEqual([0, 0, 0]);
}, 120_000);
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

interface Exported {
  readonly output: string;
  readonly header: string;
  readonly function: string;
  readonly tableBytes: number;
  readonly memoryBytes: number;
  readonly layers: readonly {
    layer: string;
    kept: string;
    arithmetic: string;
    values: number;
    indices: number;
    rest: number;
  }[];
}

/** Compiles an exported network, runs it for three images of pixels, and gives the outputs and the sizes of its sections. */
function runExported(file: string, name: string, count: number): { outputs: number[]; sections: number[] } {
  const stem = file.slice(0, -2);
  const include = stem.split("/").at(-1) ?? "";
  const main = `#include <stdio.h>
#include "${include}.h"
int main(void) {
  static float input[${count}];
  static float output[10];
  static uint8_t pixels[${count}];
  while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels) {
    ${name}_normalise(pixels, input);
    ${name}_run(input, output);
    fwrite(output, sizeof output, 1, stdout);
  }
  return ${name}_labels[9][0] == '9' ? 0 : 1;
}
`;
  const folder = join(base, stem.includes("/") ? stem.slice(0, stem.lastIndexOf("/")) : ".");
  const flags =
    "-std=c99 -Wall -Wextra -Werror -pedantic -fsanitize=address,undefined -fno-sanitize-recover=all".split(
      " ",
    );
  const built = spawnSync("gcc", [...flags, "-x", "c", "-", `${include}.c`, "-I.", "-o", "program"], {
    cwd: folder,
    input: main,
  });
  expect(built.stderr.toString()).toBe("");
  const pixels = Uint8Array.from({ length: 3 * count }, (_, i) => (i * 7919) % 256);
  const ran = spawnSync(join(folder, "program"), { input: pixels });
  expect([ran.status, ran.stderr.toString()]).toEqual([0, ""]);
  const object = spawnSync("gcc", ["-std=c99", "-Os", "-c", `${include}.c`, "-o", "net.o"], { cwd: folder });
  expect(object.stderr.toString()).toBe("");
  const sections = spawnSync("size", ["-A", "net.o"], { cwd: folder }).stdout.toString();
  const sizeOf = (section: RegExp): number => Number(section.exec(sections)?.[1]);
  return {
    outputs: [...new Float32Array(new Uint8Array(ran.stdout).buffer)],
    sections: [sizeOf(/\.rodata\s+(\d+)/), sizeOf(/\.bss\s+(\d+)/)],
  };
}

/** What onnxruntime computes for the images of {@link runExported}. */
async function expectedOf(path: string): Promise<number[]> {
  const images = uniform([3, 1, 28, 28], 1);
  images.array().forEach((_, i, all) => (all[i] = ((i * 7919) % 256) / 255));
  const [logits] = [...(await runModel(await loadModel(join(base, path)), images)).values()];
  return [...(logits as Tensor<"float32">).array()];
}

test.runIf(hasGcc)(
  "a float run in C computes what its model computes, and its tables have the sizes that are said",
  async () => {
    const { code, stdout, stderr } = await cli(
      "export",
      "float",
      "--format",
      "c",
      "-o",
      "new/net.c",
      "--json",
    );
    expect(code, stderr).toBe(0);
    const exported = JSON.parse(stdout) as Exported;
    expect(exported).toMatchObject({ output: "new/net.c", header: "new/net.h", function: "net_run" });
    const [fc1, fc2, fc3] = exported.layers;
    // Neurons of fc1 that fc2 does not read are cut out.
    expect(fc1).toMatchObject({
      layer: "fc1",
      kept: "40 of 784",
      arithmetic: "float",
      values: 2 * fc1.indices,
    });
    expect(fc2).toMatchObject({
      kept: expect.stringMatching(/^30 of (2\d\d|300)$/) as string,
      values: 12_000,
      rest: 400,
    });
    expect(fc3).toMatchObject({ kept: "all", values: 4000, indices: 0, rest: 40 });
    const { outputs, sections } = runExported("new/net.c", "net", 784);
    const expected = await expectedOf("float/model.onnx");
    outputs.forEach((value, i) => {
      expect(Math.abs(value - expected[i])).toBeLessThan(1e-5 + 1e-4 * Math.abs(expected[i]));
    });
    const [rodata, bss] = sections;
    expect(exported.tableBytes).toBe(
      exported.layers.reduce((sum, { values, indices, rest }) => sum + values + indices + rest, 0),
    );
    // Besides the tables: shapes of layers and constants of arithmetic.
    expect(rodata).toBeGreaterThanOrEqual(exported.tableBytes);
    expect(rodata).toBeLessThan(exported.tableBytes + 1000);
    expect(bss).toBeGreaterThanOrEqual(exported.memoryBytes);
    expect(bss).toBeLessThan(exported.memoryBytes + 64);
  },
);

test.runIf(hasGcc)("a run of integers in C multiplies integers", async () => {
  const { code, stdout, stderr } = await cli("export", "integers", "--format", "c", "-o", "folder");
  expect(code, stderr).toBe(0);
  expect(stripVTControlCharacters(stdout)).toMatch(
    /^folder\/model.c and folder\/model.h: model_run\(input, output\), [\d.]+ kB of tables/,
  );
  expect(stripVTControlCharacters(stdout)).toMatch(/conv2 +int8 +5 of \d+ kernels, share 10/);
  expect(await readFile(join(base, "folder/model.h"), "utf8")).toContain(
    "void model_run_codes(const uint8_t *codes, float *output);",
  );
  const { outputs } = runExported("folder/model.c", "model", 784);
  const expected = await expectedOf("integers/model.onnx");
  const largest = Math.max(...expected.map(Math.abs));
  outputs.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThan(0.05 * largest);
  });
});

test.runIf(hasGcc)("a run of ternary weights in C has codes times floats", async () => {
  const { code, stdout, stderr } = await cli("export", "ternary", "--format", "c", "-o", "t-1.c", "--json");
  expect(code, stderr).toBe(0);
  const { layers } = JSON.parse(stdout) as Exported;
  expect(layers.map(({ arithmetic }) => arithmetic)).toEqual([
    "int8 x float",
    "int8 x float",
    "int8 x float",
  ]);
  const { outputs } = runExported("t-1.c", "t_1", 784);
  const expected = await expectedOf("ternary/model.onnx");
  outputs.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThan(1e-5 + 1e-4 * Math.abs(expected[i]));
  });
});

test.runIf(hasIcarus)(
  "memory images of a run hold k weights of each row, and Verilog computes with them",
  async () => {
    const { code, stdout, stderr } = await cli(
      "export",
      "integers",
      "--format",
      "mem",
      "-o",
      "images",
      "--json",
    );
    expect(code, stderr).toBe(0);
    const { files, layers } = JSON.parse(stdout) as {
      files: string[];
      layers: { name: string; k: number; n: number; share: number; test: { bench: string } }[];
    };
    expect((await readdir(join(base, "images"))).sort()).toEqual(files.sort());
    expect(layers.map(({ name, k, n, share }) => [name, k, n, share])).toEqual([
      ["conv1", 25, 25, 1],
      ["conv2", 5, 20, 10],
      ["fc1", 20, 800, 1],
      ["fc2", 500, 500, 1],
    ]);
    for (const {
      test: { bench },
    } of layers) {
      const cwd = join(base, "images");
      expect(spawnSync("iverilog", ["-o", "bench", bench, "kofn_layer.v"], { cwd }).stderr.toString()).toBe(
        "",
      );
      expect(spawnSync("vvp", ["-n", "bench"], { cwd }).stdout.toString()).toMatch(
        /^\d+ (codes|sums), 0 different\n$/,
      );
    }
  },
);

test("memory images of a run whose maps were pruned are of what is left", async () => {
  const { code, stdout, stderr } = await cli("export", "ternary", "--format", "mem", "-o", "maps", "--json");
  expect(code, stderr).toBe(0);
  const { layers } = JSON.parse(stdout) as {
    layers: {
      name: string;
      rows: number;
      fanIn: number;
      k: number;
      filledUp: boolean;
      values: { width: number };
    }[];
  };
  expect(layers[0]).toMatchObject({ name: "fc1", fanIn: 784, k: 784, values: { width: 2 } });
  expect(layers[0].rows).toBeLessThanOrEqual(100);
  expect(layers[1]).toMatchObject({ name: "fc2", fanIn: layers[0].rows, filledUp: true });
  expect(layers[1].k).toBeLessThanOrEqual(20);
});

test("a float run is quantized on the way, if that is asked for", async () => {
  const spec = ["--quantize", "*=int8", "--quantize", "activations.*=uint8", "--threads", "1"];
  const { code, stdout, stderr } = await cli(
    "export",
    "float",
    "--format",
    "c",
    ...spec,
    "-o",
    "ptq.c",
    "--json",
  );
  expect(code, stderr).toBe(0);
  expect((JSON.parse(stdout) as Exported).layers.map(({ arithmetic }) => arithmetic)).toEqual([
    "int8",
    "int8",
    "int8",
  ]);
});

test.each([
  [
    ["float", "--format", "c", "--calibrate", "mse", "-o", "no.c"],
    2,
    /--calibrate: "float" was not trained quantized.*--quantize/,
  ],
  [
    ["integers", "--format", "mem", "--quantize", "*=int4", "-o", "no"],
    2,
    /was trained quantized.*Leave --quantize out/,
  ],
  [
    ["float", "--format", "c", "-o", "digits/t10k-labels-idx1-ubyte"],
    2,
    /--output: can't make the folder "digits\/t10k-labels-idx1-ubyte"/,
  ],
  [
    ["float", "--format", "mem", "-o", "float/model.onnx/x"],
    2,
    /--output: can't make the folder "float\/model.onnx\/x"/,
  ],
  [["float", "--format", "c", "-o", "folder.c"], 1, /can't write folder.c/],
  [["float", "--format", "v", "-o", "no"], 2, /--format: expected onnx, qdq, masks, c, mem, got "v"/],
  [
    ["gelu.onnx", "--format", "c", "-o", "no.c"],
    2,
    /node "relu" \(Gelu\): it has no form in C and memory images, which have Conv/,
  ],
])("%j is refused", async (args, expected, message) => {
  await writeGelu();
  await rm(join(base, "folder.c"), { recursive: true, force: true });
  if (args.includes("folder.c")) await cli("export", "float", "--format", "mem", "-o", "folder.c");
  const { code, stderr } = await cli("export", ...args);
  expect([code, stripVTControlCharacters(stderr)]).toEqual([expected, expect.stringMatching(message)]);
});

/** A resnet-20 of which one activation has no form in C. */
async function writeGelu(): Promise<void> {
  const model = resnet20();
  const [relu] = model.graph.nodes.filter(({ name }) => name === "relu");
  relu.op = "Gelu";
  await saveModel(model, join(base, "gelu.onnx"));
}

test("files of an earlier export are replaced", async () => {
  await writeFile(join(base, "again.c"), "old");
  const { code } = await cli("export", "float", "--format", "c", "-o", "again.c");
  expect(code).toBe(0);
  expect(await readFile(join(base, "again.c"), "utf8")).toMatch(
    /^\/\* lenet-300-100, written by kofn .*again.h says how/,
  );
});
