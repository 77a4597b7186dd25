/**
 * The lock of a run directory among processes that get in each other's way: one is stopped before any of its calls of the file
 * system; a second does its work there, or is killed or stopped in turn before any of its calls; then the first goes on.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessName, System } from "@kofn/format/run/liveness.js";
import { afterAll, describe, expect, test, vi } from "vitest";
import { removeLeftovers } from "../../src/run/folder.js";
import { FolderInUse, type FolderLock, lockFolder } from "../../src/run/lock.js";

const world = vi.hoisted(() => ({
  /** Called before each call of the file system. */
  onCall: (): void => undefined,
  /** The process that acts. */
  actor: 0,
  alive: new Set<number>(),
}));

vi.mock("node:fs", async (load) => {
  const real = await load<Record<string, (...args: unknown[]) => unknown>>();
  const names = ["link", "lstat", "mkdir", "open", "readFile", "rename", "rm", "rmdir"].map(
    (name) => `${name}Sync`,
  );
  const watched = names.map((name) => [
    name,
    (...args: unknown[]) => {
      world.onCall();
      return real[name](...args);
    },
  ]);
  return { ...real, ...(Object.fromEntries(watched) as typeof real) };
});

vi.mock("../../src/files/processes.js", () => ({
  SYSTEM: {
    host: "host",
    signal: (pid) => {
      if (!world.alive.has(pid)) throw Object.assign(new Error("no such process"), { code: "ESRCH" });
    },
    read: () => {
      throw new Error("no /proc here");
    },
  } satisfies System,
  thisProcess: (): ProcessName => ({ pid: world.actor, host: "host" }),
}));

const base = mkdtempSync(join(tmpdir(), "kofn-races-"));
afterAll(() => {
  rmSync(base, { recursive: true });
});

const [FIRST, SECOND, OTHER, DEAD] = [1, 2, 3, 4];

let folder = "";
let count = 0;

/** How the folder is found: locks by the processes that they name. */
const FOUND: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "that is not there": {},
  "left by a killed process": { "running.json": DEAD },
  "left by two, the second killed when it took over": { "running.json": DEAD, "running.json.takeover": DEAD },
  "that a process has": { "running.json": OTHER },
};

/** What the second process does: it takes the lock and keeps it, or releases it, or something happens before its nth call. */
type Fate = "keeps" | "releases" | { readonly killed: number } | { readonly met: number };

function tryLock(actor: number): FolderLock | undefined {
  const before = world.actor;
  world.actor = actor;
  try {
    return lockFolder(folder);
  } catch (error) {
    if (world.alive.has(actor) && !(error instanceof FolderInUse)) throw error;
    return undefined;
  } finally {
    world.actor = before;
  }
}

/** Does something once, before the nth call that `work` makes of the file system. Returns the number of its calls. */
function before(n: number, act: () => void, work: () => void): number {
  const outer = world.onCall;
  let calls = 0;
  world.onCall = () => {
    if (calls++ !== n) return;
    const own = world.onCall;
    world.onCall = () => undefined;
    act();
    world.onCall = own;
  };
  work();
  world.onCall = outer;
  return calls;
}

/** @returns the locks that are held in the end, and how many calls the process made. */
function second(fate: Fate): { held: FolderLock[]; calls: number } {
  let lock: FolderLock | undefined;
  let other: FolderLock | undefined;
  const take = (): void => {
    lock = tryLock(SECOND);
  };
  if (fate === "keeps" || fate === "releases") {
    take();
    if (fate === "releases") lock?.release();
    return { held: lock === undefined || fate === "releases" ? [] : [lock], calls: 0 };
  }
  if ("met" in fate) {
    const meet = (): void => {
      other = tryLock(OTHER);
    };
    const calls = before(fate.met, meet, take);
    return { held: [lock, other].filter((one) => one !== undefined), calls };
  }
  const die = (): void => {
    world.alive.delete(SECOND);
  };
  // From then on none of its calls has an effect.
  const calls = before(fate.killed, die, () => {
    const counting = world.onCall;
    world.onCall = () => {
      counting();
      if (!world.alive.has(SECOND)) throw new Error("killed");
    };
    take();
  });
  die();
  return { held: [], calls };
}

/** @returns how many calls the first and the second process made. */
function scenario(found: Readonly<Record<string, number>>, at: number, fate: Fate): [number, number] {
  folder = join(base, String(++count));
  if (Object.keys(found).length > 0) mkdirSync(folder);
  for (const [name, pid] of Object.entries(found)) {
    writeFileSync(join(folder, name), JSON.stringify({ pid, host: "host" }));
  }
  world.alive = new Set([FIRST, SECOND, OTHER]);
  const held: FolderLock[] = [];
  let callsOfSecond = 0;
  const interrupt = (): void => {
    const result = second(fate);
    held.push(...result.held);
    callsOfSecond = result.calls;
  };
  const calls = before(at, interrupt, () => {
    const lock = tryLock(FIRST);
    if (lock !== undefined) held.push(lock);
  });
  const isTaken = Object.values(found).includes(OTHER);
  expect(held).toHaveLength(isTaken ? 0 : 1);
  const owner = JSON.parse(readFileSync(join(folder, "running.json"), "utf8")) as ProcessName;
  if (isTaken) expect(owner.pid).toBe(OTHER);
  else expect(world.alive.has(owner.pid)).toBe(true);

  for (const lock of held) lock.release();
  const isKill = typeof fate === "object" && "killed" in fate;
  const left = existsSync(folder) ? readdirSync(folder) : [];
  if (isTaken && !isKill) expect(left).toEqual(["running.json"]);
  if (isTaken) return [calls, callsOfSecond];
  if (!isKill) expect(left).toEqual([]);
  const next = lockFolder(folder);
  removeLeftovers(folder);
  expect(readdirSync(folder).filter((name) => name !== "running.json.takeover")).toEqual(["running.json"]);
  next.release();
  return [calls, callsOfSecond];
}

/** Tries all places at which the first process is stopped, and in each all those of the second. */
function explore(found: Readonly<Record<string, number>>, fate: (n: number) => Fate, many: boolean): number {
  let scenarios = 0;
  for (let at = 0, calls = 1; at < calls; at++) {
    for (let n = 0, ofSecond = 1; n < ofSecond; n++) {
      const [ofFirst, more] = scenario(found, at, fate(n));
      calls = ofFirst;
      ofSecond = many ? more + 1 : 1;
      scenarios++;
    }
  }
  return scenarios;
}

describe.each(Object.entries(FOUND))(
  "in a folder %s, one process gets the lock where another one",
  (_, found) => {
    test.each<[string, (n: number) => Fate, boolean]>([
      ["gets there first", () => "keeps", false],
      ["has it for a while", () => "releases", false],
      ["is killed", (killed) => ({ killed }), true],
      ["meets a third", (met) => ({ met }), true],
    ])("%s", (_, fate, many) => {
      expect(explore(found, fate, many)).toBeGreaterThan(3);
    });
  },
);
