/** A run that is killed and resumed ends as one that was never interrupted. */

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { KOFN, kofn } from "./process.js";

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
async function killAfterEpoch(run: string, epoch: number): Promise<void> {
  const child = spawn(process.execPath, [KOFN, ...ARGUMENTS, "--out", join(folder, run)]);
  await new Promise<void>((done) => {
    child.stderr.on("data", (text: Buffer) => {
      if (text.toString().includes(`epoch ${epoch}/`)) child.kill("SIGKILL");
    });
    child.on("exit", () => {
      done();
    });
  });
}

describe("kofn train --resume", () => {
  it("goes on from the last checkpoint, to the same bytes", async () => {
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

  it("names a damaged checkpoint, and a folder without a run", async () => {
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
