/** The command line as a process: what a run leaves, what goes to which stream, and exit codes. */

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Report } from "@kofn/format/run/types.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/files/models.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { readRun } from "../../src/run/read.js";
import { inParallel, KOFN, kofn, type Result, run, writeDigits } from "./process.js";

let base: string;
let trained: Result;

const SMALL = ["--data", "mnist", "--data-dir", "digits", "--batch", "20", "--threads", "1"];
const PRUNED = ["--prune", "fc1=weights:40", "--prune", "fc2=weights:10%,share:4"];

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-cli-"));
  await writeDigits(join(base, "digits"), 400, 100);
  trained = await cli("train", "lenet-300-100", ...SMALL, ...PRUNED, "--epochs", "3", "--out", "a");
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<Result> => kofn(args, { cwd: base });
const file = (...path: string[]): Promise<Buffer> => readFile(join(base, ...path));

describe("train", () => {
  test("prints the table on stdout and an epoch a line on stderr", () => {
    expect(trained.code).toBe(0);
    const table = trained.stdout.split("\n").slice(1, 6);
    expect(table).toMatchInlineSnapshot(`
      [
        "layer  granularity       groups     k of n    kept  weights  compression",
        "fc1    weights              300  40 of 784  12,000  235,200        19.6x",
        "fc2    weights, share 4      25  30 of 300   3,000   30,000        10.0x",
        "fc3    dense                                 1,000    1,000         1.0x",
        "total                                       16,000  266,200        16.6x",
      ]
    `);
    expect(trained.stdout).toMatch(/test +accuracy \d+\.\d\d % {2}error \d+\.\d\d % {2}loss \d/);
    expect(trained.stdout).toContain("The result is in a.");
    expect(trained.stdout).toContain("kofn eval a ");
    expect(trained.stderr.match(/^epoch [123]\/3 {2}loss /gm)).toHaveLength(3);
    expect(trained.stdout + trained.stderr).not.toContain("\u001b");
  });

  test("every group holds exactly k, and what is outside of the masks is 0", async () => {
    const { report, masks, metrics } = await readRun(join(base, "a"));
    const { graph } = await loadModel(join(base, "a/model.onnx"));
    expect(metrics).toHaveLength(3);
    expect(report.layers.map(({ name, groups, n, k }) => [name, groups, n, k])).toEqual([
      ["fc1", 300, 784, 40],
      ["fc2", 25, 300, 30],
    ]);
    for (const { weight, n, k, share = 1, kept } of report.layers) {
      const mask = masks.get(weight)?.array() ?? new Uint8Array(0);
      expect(mask.length).toBeGreaterThan(0);
      const values = (graph.initializers.get(weight) as Tensor<"float32">).array();
      for (let row = 0; row < mask.length; row += n) {
        const ones = mask.subarray(row, row + n);
        expect(ones.reduce((sum, value) => sum + value, 0)).toBe(k);
        const first = row - ((row / n) % share) * n;
        expect(ones).toEqual(mask.subarray(first, first + n));
      }
      expect(values.every((value, i) => mask[i] === 1 || value === 0)).toBe(true);
      expect(mask.reduce((sum, value) => sum + value, 0)).toBe(kept);
    }
  });

  test("report.html has the command that repeats the run", async () => {
    const page = String(await file("a/report.html"));
    const [, command] = /<pre[^>]*><code>(kofn train [^<]*)<\/code><\/pre>/.exec(page) ?? [];
    expect(command).toContain("--prune fc2=weights:10%,share:4");
    const script = `kofn() { '${process.execPath}' '${KOFN}' "$@"; }\n${command} --out repeated`;
    expect(await run("sh", ["-c", script], { cwd: base })).toMatchObject({ code: 0 });
    expect((await file("repeated/model.onnx")).equals(await file("a/model.onnx"))).toBe(true);
  });

  test("the same settings give the same model, also out of config.json; another seed does not", async () => {
    const again = ["train", "--config", "a/config.json"];
    const results = await inParallel(
      [
        [...again, "--out", "same"],
        [...again, "--seed", "2", "--out", "other"],
      ],
      (args) => cli(...args),
    );
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect((await file("same/model.onnx")).equals(await file("a/model.onnx"))).toBe(true);
    expect((await file("other/model.onnx")).equals(await file("a/model.onnx"))).toBe(false);
  });

  test("--json prints the report and nothing else, and --overwrite replaces a run", async () => {
    const args = ["train", "lenet-300-100", ...SMALL, "--keep", "5%", "--epochs", "1"];
    const { code, stdout, stderr } = await cli(...args, "--out", "same", "--overwrite", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(String(await file("same/report.json"))));
    expect((JSON.parse(stdout) as Report).layers.map(({ k }) => k)).toEqual([39, 15]);
    expect(stderr).toContain("The result is in same.");
  });

  test("trains an ONNX file by a config file, on which the command line wins", async () => {
    await writeFile(
      join(base, "run.yaml"),
      "model: a/model.onnx\ndata: mnist\ndata-dir: digits\nprune: [fc1=weights:40, fc2=none]\nepochs: 50\nbatch: 20\nout: nowhere\n",
    );
    const { code, stdout } = await cli(
      "train",
      "--config",
      "run.yaml",
      "--epochs",
      "1",
      "--prune",
      "fc2=maps:50",
      "--out",
      "c",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^fc2 +maps +1 +50 of 100 /m);
    expect(existsSync(join(base, "nowhere"))).toBe(false);
    const { config } = await readRun(join(base, "c"));
    expect(config).toMatchObject({
      epochs: 1,
      model: join(base, "a/model.onnx"),
      prune: ["fc1=weights:40", "fc2=maps:50"],
    });
  });

  test("without --out it makes a new folder in runs/ each time", async () => {
    await mkdir(join(base, "runs/lenet-300-100-mnist-1"), { recursive: true });
    const { code, stdout } = await cli("train", "lenet-300-100", ...SMALL, "--epochs", "1", "--limit", "40");
    expect(code).toBe(0);
    expect(stdout).toContain(`The result is in ${join("runs", "lenet-300-100-mnist-2")}.`);
  });

  test("Ctrl-C stops it: exit code 130, and the epochs that were done are on record", async () => {
    const { code, stderr } = await kofn(
      ["train", "lenet-300-100", ...SMALL, "--epochs", "100000", "--out", "stopped"],
      {
        cwd: base,
        onSpawn: (child) => {
          child.stderr?.on("data", (text: string) => {
            if (text.includes("epoch      1/")) child.kill("SIGINT");
          });
        },
      },
    );
    expect(code).toBe(130);
    expect(stderr).toContain("interrupted: the finished epochs are in stopped; go on with");
    expect((await readdir(join(base, "stopped"))).sort()).toEqual([
      "checkpoint",
      "config.json",
      "metrics.jsonl",
    ]);
    const { stderr: refused } = await cli("eval", "stopped");
    expect(refused).toContain("the run in it was not finished");
  });
});

describe("eval", () => {
  test("agrees with the report", async () => {
    const { report } = await readRun(join(base, "a"));
    const [plain, json, validation, alone] = await inParallel(
      [
        ["eval", "a"],
        ["eval", "a", "--json"],
        ["eval", "a", "--split", "validation", "--json"],
        ["eval", "a/model.onnx", "--data", "mnist", "--data-dir", "digits", "--json", "--provider", "wasm"],
      ],
      (args) => cli(...args),
    );
    const accuracyIn = ({ stdout }: Result): unknown =>
      (JSON.parse(stdout) as { accuracy: unknown }).accuracy;
    expect(plain.stdout).toContain("mnist, test split, 100 samples: accuracy");
    expect(accuracyIn(json)).toBe(report.result.test.accuracy);
    expect(accuracyIn(validation)).toBe(report.result.validation.accuracy);
    expect(accuracyIn(alone)).toBe(report.result.test.accuracy);
  });
});

describe("inspect", () => {
  test("shows a run's layers and what its masks hold", async () => {
    const { code, stdout } = await cli("inspect", "a");
    expect(code).toBe(0);
    const measured =
      /^fc[12] +0\.\d{3} {2}0\.\d\d [▁-█]{3} 0\.\d\d +0\.\d{3} +\d+\.\d\d % +\d+\.\d\d % +[\d,]+ \(\d+\.\d\d %\)$/gm;
    expect(stdout.match(measured)).toHaveLength(2);
    expect(
      stdout
        .replace(/accuracy .*/, "...")
        .replace(measured, "...")
        .replace(/^epoch \d .*$/m, (line) => line.replace(/epoch \d/, "epoch N").replace(/ +/g, " ")),
    ).toMatchInlineSnapshot(`
      "model    lenet-300-100 (6 nodes, operator set 21, from kofn 0.1.0)
      input    input: float32 [batch, 1, 28, 28]
      output   logits: float32 [batch, 10]
      params   266,610, 1.1 MB dense, 74.9 kB packed (limit 74.5 kB)
      trained  266,610 numbers in 6 tensors
      MACs     266,200 per sample, 16,000 with kept weights alone

      layer  weight      weights     MACs              zeros  prunable by (units per group)
      fc1    [300, 784]  235,200  235,200  223,200 (94.90 %)  weights 784, maps 300
      fc2    [100, 300]   30,000   30,000   27,000 (90.00 %)  weights 300, maps 100
      fc3    [10, 100]     1,000    1,000         0 (0.00 %)  weights 100

      mask  granularity       groups     k of n  counted per group
      fc1   weights              300  40 of 784                 40
      fc2   weights, share 4      25  30 of 300                 30

      epoch N confidence over epochs diversity churn as by magnitude never chosen
      ...
      ...

      test     ...
      "
    `);
  });

  test("gives a run's masks as JSON", async () => {
    const { metrics } = await readRun(join(base, "a"));
    const best = metrics.findLast((line) => line.best);
    const { stdout } = await cli("inspect", "a", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ epoch: best?.epoch, masks: best?.layers });
  });

  test("shows a model file's, also as JSON", async () => {
    const { stdout } = await cli("inspect", "a/model.onnx", "--json");
    const shown = JSON.parse(stdout) as {
      macs: number;
      layers: { name: string; zeros: number; mask?: unknown }[];
    };
    expect(shown.macs).toBe(266_200);
    expect(shown.layers.map(({ name, zeros, mask }) => [name, zeros, mask])).toEqual([
      ["fc1", 300 * 744, undefined],
      ["fc2", 100 * 270, undefined],
      ["fc3", 0, undefined],
    ]);
  });
});

describe("data", () => {
  test("list says what is here", async () => {
    const { stdout } = await cli("data", "list", "--data-dir", "digits");
    expect(stdout).toMatch(/^glyphs .* built in/m);
    expect(stdout).toMatch(/^mnist .* here +digits$/m);
    expect(stdout).toMatch(/^cifar10 .* missing +digits$/m);
    const json = await cli("data", "list", "--data-dir", "digits", "--json");
    expect(JSON.parse(json.stdout)).toContainEqual(
      expect.objectContaining({ name: "mnist", complete: true }),
    );
  });
});

describe("streams", () => {
  test("every command has help with examples", async () => {
    const commands = [
      [],
      ["train"],
      ["eval"],
      ["inspect"],
      ["export"],
      ["data"],
      ["data", "list"],
      ["data", "get"],
    ];
    for (const { code, stdout, stderr } of await inParallel(commands, (args) => cli(...args, "--help"))) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("Examples:\n  kofn ");
    }
  });

  test("a reader that goes away is no failure", async () => {
    const { code, stderr } = await kofn(["inspect", "a"], {
      cwd: base,
      onSpawn: (child) => child.stdout?.destroy(),
    });
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("KOFN_DEBUG=1 shows where an error comes from, and what caused it", async () => {
    const { code, stderr } = await kofn(["eval", "nothing.onnx"], { cwd: base, env: { KOFN_DEBUG: "1" } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/InputError: .*\n +at /);
    expect(stderr).toMatch(/\[cause\]: Error: ENOENT.*\n +at /);
  });

  test.runIf(process.platform === "linux")(
    "a terminal gets a live line, with colours unless NO_COLOR is set",
    async () => {
      const command = `stty columns 120 rows 30; '${process.execPath}' '${KOFN}' train lenet-5 ${SMALL.join(" ")} --batch 2 --epochs 2 --overwrite --out tty`;
      const terminal = (env: Record<string, string>): Promise<Result> =>
        run("script", ["-qec", command, "/dev/null"], { cwd: base, env: { TERM: "xterm", ...env } });
      const coloured = await terminal({});
      const plain = await terminal({ NO_COLOR: "1" });
      for (const { code, stdout } of [coloured, plain]) {
        expect(code).toBe(0);
        expect(stripVTControlCharacters(stdout)).toMatch(/epoch \d\/2 [█░]{24} .* left/);
        expect(stdout.match(/val loss/g)).toHaveLength(2);
      }
      expect(coloured.stdout).toContain("\u001b[1mlayer");
      expect(plain.stdout).not.toMatch(/\u001b\[[0-9;]*m/);
    },
  );
});
