/** A run directory is one process's at a time, as processes see it that are begun, killed and resumed. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { kofn, KOFN, type Result } from "./process.js";

const folder = mkdtempSync(join(tmpdir(), "kofn-lock-"));
const living: ChildProcess[] = [];
afterAll(() => {
  for (const child of living) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

const TRAIN = [
  "train",
  "lenet-300-100",
  "--data",
  "glyphs",
  "--keep",
  "5%",
  "--limit",
  "1280",
  "--threads",
  "1",
];
const ENDLESS = [...TRAIN, "--epochs", "100000"];
const SHORT = [...TRAIN, "--epochs", "4"];
const path = (run: string): string => join(folder, run);
const out = (run: string): string[] => ["--out", path(run)];
const bytes = (run: string, name: string): Buffer => readFileSync(join(path(run), name));
const epochsIn = (run: string): number => {
  const lines = bytes(run, "metrics.jsonl").toString().trimEnd().split("\n");
  const numbers = lines.map((line) => (JSON.parse(line) as { epoch: number }).epoch);
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  return numbers.length;
};

/** Starts a process that goes on, once it says that an epoch is done. */
async function begin(args: readonly string[], epoch: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [KOFN, ...args]);
  living.push(child);
  let said = "";
  await new Promise<void>((done, failed) => {
    child.stderr.on("data", (text: Buffer) => {
      said += text.toString();
      if (new RegExp(`epoch +${epoch}/`).test(said)) done();
    });
    child.on("exit", () => {
      failed(new Error(said));
    });
  });
  return child;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise((done) => child.on("exit", done));
  child.kill(signal);
  await ended;
}

/** Runs a process that is interrupted once it says that an epoch is done. */
function interrupted(args: readonly string[]): Promise<Result> {
  return kofn(args, {
    onSpawn: (child) => {
      child.stderr?.on("data", (text: string) => {
        if (text.includes("epoch ")) child.kill("SIGINT");
      });
    },
  });
}

describe("a run directory", { timeout: 120_000 }, () => {
  test("is left alone while another process trains there, and taken over from one that was killed", async () => {
    const child = await begin([...ENDLESS, ...out("live")], 2);
    const config = bytes("live", "config.json");
    for (const more of [[], ["--overwrite"], ["--resume"]]) {
      const args = more[0] === "--resume" ? ["train"] : SHORT;
      const { code, stderr } = await kofn([...args, ...out("live"), ...more]);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(`process ${child.pid ?? ""} on host "${hostname()}" has taken it, since 20`);
      expect(stderr).toContain("Wait until it ends, stop it, or choose another folder.");
    }
    expect(child.exitCode).toBeNull();
    expect(JSON.parse(bytes("live", "running.json").toString())).toMatchObject({ pid: child.pid });
    expect(bytes("live", "config.json").equals(config)).toBe(true);
    const before = epochsIn("live");

    await kill(child, "SIGKILL");
    expect(existsSync(join(path("live"), "running.json"))).toBe(true);
    const resumed = await interrupted(["train", "--resume", ...out("live")]);
    expect(resumed.code, resumed.stderr).toBe(130);
    expect(resumed.stderr).not.toMatch(/epoch +1\//);
    expect(epochsIn("live")).toBeGreaterThanOrEqual(before);
    expect(readdirSync(path("live")).filter((name) => name.startsWith("running."))).toEqual([]);

    const other = await kofn([...SHORT, ...out("live"), "--overwrite"]);
    expect(other.code, other.stderr).toBe(0);
    expect(epochsIn("live")).toBe(4);
  });

  test("goes to one of several processes that are begun or resumed at once", async () => {
    const atOnce = async (args: readonly string[], run: string): Promise<void> => {
      const results = await Promise.all([1, 2, 3].map(() => kofn([...args, ...out(run)])));
      expect(results.map(({ code }) => code).sort()).toEqual([0, 2, 2]);
      for (const { code, stderr } of results) {
        if (code === 2) expect(stderr).toMatch(/has taken it, since|already holds a run|is finished/);
      }
      expect(epochsIn(run)).toBe(4);
    };
    await atOnce(SHORT, "begun");
    await kill(await begin([...SHORT, ...out("killed")], 2), "SIGKILL");
    await atOnce(["train", "--resume"], "killed");
    for (const name of ["model.onnx", "heatmaps.bin"]) {
      expect(bytes("killed", name).equals(bytes("begun", name))).toBe(true);
    }
  });

  test("is another one for each of several processes that are begun at once without --out", async () => {
    const runs = await Promise.all([1, 2, 3].map(() => kofn(SHORT, { cwd: folder })));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    const names = [1, 2, 3].map((number) => `lenet-300-100-glyphs-${number}`);
    expect(readdirSync(path("runs")).sort()).toEqual(names);
    for (const name of names) expect(epochsIn(join("runs", name))).toBe(4);
  });

  test("that a killed process left has its temporary files removed when the run goes on", async () => {
    await kill(await begin([...SHORT, ...out("left")], 2), "SIGKILL");
    const gone = spawn(process.execPath, ["-e", ""]);
    await new Promise((done) => gone.on("exit", done));
    const left = ["checkpoint/state.safetensors", "metrics.jsonl", "running.json"].flatMap((name) =>
      [`${gone.pid ?? 0}.1`, `${gone.pid ?? 0}.0123456789ab`].map((owner) => `${name}.${owner}.tmp`),
    );
    const others = [
      "checkpoint/state.safetensors.1.0123456789ab.tmp",
      "notes.tmp",
      "checkpoint/notes.1.1.tmp",
    ];
    for (const name of [...left, ...others]) writeFileSync(join(path("left"), name), "");
    expect((await kofn(["train", "--resume", ...out("left")])).code).toBe(0);
    const found = readdirSync(path("left"), { recursive: true }).filter((name) =>
      name.toString().endsWith(".tmp"),
    );
    expect(found.sort()).toEqual(others.sort());
  });
});
