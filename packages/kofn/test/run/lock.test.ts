/** The lock of a run directory: who gets it, who is refused, and what is left of it. */

import { spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { thisProcess } from "../../src/files/processes.js";
import { prepareRunDirectory } from "../../src/run/directory.js";
import { FolderInUse, lockFolder } from "../../src/run/lock.js";
import { reopenRunDirectory } from "../../src/run/read.js";
import { kofn } from "../cli/process.js";

/** More than any system gives. */
const DEAD = 2 ** 22 + 1;

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "kofn-lock-"));
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

const file = (name = "running.json"): string => join(base, "a", name);
const owner = (changes: object = {}): string =>
  JSON.stringify({ pid: DEAD, host: hostname(), started: "2026-01-02T03:04:05.000Z", ...changes });

/** Puts a lock into the folder. */
function locked(text: string, name = "running.json"): void {
  mkdirSync(join(base, "a"), { recursive: true });
  writeFileSync(file(name), text);
}

/** The message with which the lock is refused. */
function refusal(): string {
  try {
    lockFolder(join(base, "a")).release();
  } catch (error) {
    expect(error).toBeInstanceOf(FolderInUse);
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message.replaceAll(base, "BASE").replaceAll(hostname(), "HOST");
  }
  throw new Error("expected a refusal");
}

describe("the lock of a folder", () => {
  test("names this process, and is gone when it is released, with the folders that were made for it", () => {
    mkdirSync(join(base, "there"));
    const lock = lockFolder(join(base, "there", "deep", "er"));
    const found: unknown = JSON.parse(readFileSync(join(lock.folder, "running.json"), "utf8"));
    expect(found).toMatchObject(thisProcess());
    lock.tell({ epoch: 3 });
    const more: unknown = JSON.parse(readFileSync(join(lock.folder, "running.json"), "utf8"));
    expect(more).toEqual({ ...(found as object), epoch: 3 });
    expect(readdirSync(lock.folder)).toEqual(["running.json"]);
    lock.release();
    lock.release();
    expect(readdirSync(base, { recursive: true })).toEqual(["there"]);
  });

  test("is refused while a process has it, be it this one", () => {
    const lock = lockFolder(join(base, "a"));
    expect(refusal()).toMatch(
      /^run directory "BASE\/a": expected a folder that no other process writes, but this process \d+ on host "HOST" has taken it, since [^ ]+\. Wait until it ends, stop it, or choose another folder\.$/,
    );
    lock.release();
    locked(owner({ pid: process.ppid }));
    expect(refusal()).toContain(
      `but process ${process.ppid} on host "HOST" has taken it, since 2026-01-02T03:04:05.000Z.`,
    );
    // As versions have it that don't say since when.
    locked(JSON.stringify({ pid: process.ppid, host: hostname() }));
    expect(refusal()).toContain("has taken it. Wait until it ends");
  });

  test("of a process on another machine is refused, with the file to remove", () => {
    locked(owner({ host: "elsewhere" }));
    expect(refusal()).toBe(
      `run directory "BASE/a": expected a folder that no other process writes, but process ${DEAD} on host "elsewhere" has taken it, ` +
        `since 2026-01-02T03:04:05.000Z, and whether it still runs can't be seen from host "HOST". ` +
        "If it does not, remove BASE/a/running.json and try again; else choose another folder.",
    );
    rmSync(file());
    lockFolder(join(base, "a")).release();
  });

  test.each<[string, () => void]>([
    [
      "a process that is gone",
      () => {
        locked(owner());
      },
    ],
    [
      "one whose number another process has by now",
      () => {
        locked(owner({ pid: process.pid, born: "1" }));
      },
    ],
    [
      "nobody, being damaged",
      () => {
        locked("");
      },
    ],
    [
      "nobody, being of another kind",
      () => {
        locked('{"pid":"x"}');
      },
    ],
    [
      "nobody, being a link that leads nowhere",
      () => {
        mkdirSync(join(base, "a"));
        symlinkSync(join(base, "none"), file());
      },
    ],
    [
      "nobody, as does that of the process that was about to take it over",
      () => {
        locked(owner());
        locked(owner(), "running.json.takeover");
      },
    ],
    [
      "nobody, two deaths in a row",
      () => {
        locked(owner());
        for (const n of [1, 2]) locked(owner(), `running.json${".takeover".repeat(n)}`);
      },
    ],
  ])("is taken over where it names %s", (_, prepare) => {
    prepare();
    writeFileSync(file("stop.request"), "");
    const lock = lockFolder(join(base, "a"));
    expect(readdirSync(join(base, "a"))).toEqual(["running.json"]);
    expect(JSON.parse(readFileSync(file(), "utf8"))).toMatchObject(thisProcess());
    lock.release();
    expect(readdirSync(join(base, "a"))).toEqual([]);
    expect(readdirSync(base)).toEqual(["a"]);
  });

  test("is not taken over while another process is about to do so", () => {
    locked(owner());
    locked(owner({ pid: process.ppid }), "running.json.takeover");
    expect(refusal()).toContain(`process ${process.ppid} on host "HOST" has taken it`);
    expect(JSON.parse(readFileSync(file(), "utf8"))).toMatchObject({ pid: DEAD });
  });

  test("that somebody has removed, and another process has got, stays that one's", () => {
    const lock = lockFolder(join(base, "a"));
    locked(owner({ pid: process.ppid }));
    lock.tell({ epoch: 1 });
    lock.release();
    expect(readFileSync(file(), "utf8")).toBe(owner({ pid: process.ppid }));
  });
});

describe("a run directory that another process has open", () => {
  test("is refused by the library, too, before anything in it changes", async () => {
    locked(owner({ pid: process.ppid }));
    writeFileSync(file("config.json"), "{}");
    writeFileSync(file("metrics.jsonl"), '{"cut');
    const before = readdirSync(join(base, "a"));
    await expect(prepareRunDirectory(join(base, "a"), { overwrite: true })).rejects.toThrow(FolderInUse);
    await expect(prepareRunDirectory(join(base, "a"))).rejects.toThrow(FolderInUse);
    await expect(reopenRunDirectory(join(base, "a"))).rejects.toThrow(FolderInUse);
    expect(readdirSync(join(base, "a"))).toEqual(before);
    expect(readFileSync(file("metrics.jsonl"), "utf8")).toBe('{"cut');
  });

  test("is refused by the command line with exit code 2", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    locked(owner({ pid: child.pid }));
    const { code, stderr } = await kofn(["train", "lenet-300-100", "--out", join(base, "a"), "--overwrite"]);
    child.kill("SIGKILL");
    expect(code).toBe(2);
    expect(stderr).toContain(`process ${child.pid ?? ""} on host`);
  });
});
