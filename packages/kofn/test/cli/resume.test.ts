/** A run that is killed and resumed ends as one that was never interrupted. */

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/files/models.js";
import { zoo } from "../../src/models/zoo.js";
import { encodeSafetensors } from "../../src/onnx/safetensors.js";
import { tensor } from "../../src/onnx/tensor.js";
import { decodeCheckpoint, encodeCheckpoint } from "../../src/run/checkpoint.js";
import { VERSION } from "../../src/version.js";
import { KOFN, kofn, type Result, writeDigits } from "./process.js";

const folder = mkdtempSync(join(tmpdir(), "kofn-resume-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const ARGUMENTS = [
  ...["train", "lenet-300-100", "--data", "glyphs", "--prune", "fc1=weights:40", "--epochs", "4"],
  ...["--limit", "1280", "--threads", "1"],
];
const bytes = (run: string, name: string): Buffer => readFileSync(join(folder, run, name));

/** Starts a run and kills it without warning when it says that an epoch is done. */
async function killAfterEpoch(run: string, epoch: number, args = ARGUMENTS): Promise<void> {
  const child = spawn(process.execPath, [KOFN, ...args, "--out", join(folder, run)]);
  let said = "";
  await new Promise<void>((done) => {
    child.stderr.on("data", (text: Buffer) => {
      said += text.toString();
      if (said.includes(`epoch ${epoch}/`)) child.kill("SIGKILL");
    });
    child.on("exit", () => {
      done();
    });
  });
  expect(said).toContain(`epoch ${epoch}/`);
}

describe("kofn train --resume", () => {
  test("goes on from the last checkpoint, to the same bytes", async () => {
    expect(await kofn([...ARGUMENTS, "--out", join(folder, "whole")])).toMatchObject({ code: 0 });
    await killAfterEpoch("killed", 2);
    const again = await kofn([...ARGUMENTS, "--out", join(folder, "killed")]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("--resume");

    const other = await kofn(["train", "--resume", "--out", join(folder, "killed"), "--epochs", "9"]);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain("epochs 9 (was 4)");

    const resumed = await kofn(["train", "--resume", "--out", join(folder, "killed")]);
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.stderr).not.toContain("epoch 1/4");
    for (const name of ["model.onnx", "heatmaps.bin"]) {
      expect(bytes("killed", name).equals(bytes("whole", name))).toBe(true);
    }
    const lines = (run: string): unknown[] =>
      readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => ({ ...(JSON.parse(line) as object), seconds: 0, samplesPerSecond: 0 }));
    expect(lines("killed")).toEqual(lines("whole"));

    const finished = await kofn(["train", "--resume", "--out", join(folder, "killed")]);
    expect(finished.code).toBe(2);
    expect(finished.stderr).toContain("is finished");
  }, 120_000);

  test("refuses a model, data or masks that have changed meanwhile, and names them", async () => {
    const path = (name: string): string => join(folder, name);
    const writeModel = (seed: number): Promise<void> =>
      saveModel(zoo.lenet300100({ seed }), path("net.onnx"));
    const writeMasks = (kept: number): void => {
      const mask = Uint8Array.from({ length: 300 * 784 }, (_, i) => (i % 784 === kept ? 1 : 0));
      const masks = new Map([["fc1.weight", tensor("uint8", [300, 784], mask)]]);
      writeFileSync(path("masks.safetensors"), encodeSafetensors(masks));
    };
    await writeModel(1);
    writeMasks(7);
    await writeDigits(path("digits"), 1000, 100);
    const args = [
      ...["train", path("net.onnx"), "--data", "mnist", "--data-dir", path("digits"), "--threads", "1"],
      ...["--prune", "fc1=weights:1", "--masks", path("masks.safetensors"), "--epochs", "4"],
    ];
    await killAfterEpoch("changing", 2, args);
    const before = readFileSync(path("changing/metrics.jsonl"));
    const resume = (): Promise<Result> => kofn(["train", "--resume", "--out", path("changing")]);
    const refused = async (what: string, change: () => unknown, restore: () => unknown): Promise<void> => {
      await change();
      const { code, stderr } = await resume();
      await restore();
      expect(code, stderr).toBe(2);
      expect(stderr).toContain("but these have changed since: ");
      expect(stderr).toMatch(new RegExp(`${what} \\(SHA-256 [0-9a-f]{12}, was [0-9a-f]{12}\\)\\. Put back`));
    };
    await refused(
      `since: model ${path("net.onnx")}`,
      () => writeModel(2),
      () => writeModel(1),
    );
    await refused(
      `since: masks ${path("masks.safetensors")}`,
      () => {
        writeMasks(8);
      },
      () => {
        writeMasks(7);
      },
    );
    const labels = path("digits/train-labels-idx1-ubyte");
    const sound = readFileSync(labels);
    const changed = Buffer.from(sound);
    changed[100] = (changed[100] + 1) % 10;
    await refused(
      `since: data ${path("digits")}`,
      () => {
        writeFileSync(labels, changed);
      },
      () => {
        writeFileSync(labels, sound);
      },
    );
    expect(readFileSync(path("changing/metrics.jsonl")).equals(before)).toBe(true);

    // A run of a version without digests goes on, and says so.
    const file = path("changing/checkpoint/state.safetensors");
    const { inputs, ...old } = decodeCheckpoint(readFileSync(file), file);
    expect(inputs).toMatchObject({ kofn: VERSION });
    writeFileSync(file, encodeCheckpoint(old));
    const { code, stderr } = await resume();
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("its version of kofn did not record digests");
  }, 120_000);

  test("names a damaged checkpoint, and a folder without a run", async () => {
    await killAfterEpoch("damaged", 3);
    const checkpoint = join(folder, "damaged", "checkpoint", "state.safetensors");
    truncateSync(checkpoint, 1000);
    const damaged = await kofn(["train", "--resume", "--out", join(folder, "damaged")]);
    expect(damaged.code).toBe(2);
    expect(damaged.stderr).toContain("state.safetensors");
    const none = await kofn(["train", "--resume", "--out", join(folder, "none")]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("Begin it without --resume");
    const where = await kofn(["train", "--resume"]);
    expect(where.code).toBe(2);
  }, 120_000);
});
