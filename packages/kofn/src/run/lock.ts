/**
 * One process at a time writes a run directory. The file running.json names it, from the moment the directory is opened until it is
 * closed or the process ends; that of a process that was killed is taken over.
 *
 * The file is made as a hard link, which one of several processes gets. It is replaced only by its owner, or, once that is gone, by
 * the holder of running.json.takeover, which is a lock of the same kind: so no two processes replace it at once.
 */

import { lstatSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { LIVE_FILES } from "@kofn/format/run/files.js";
import { presenceOf, type ProcessName } from "@kofn/format/run/liveness.js";
import { OWNER } from "@kofn/format/run/schemas.js";
import type { Owner, Running } from "@kofn/format/run/types.js";
import { InputError, KofnError } from "../errors.js";
import { createAtomically, writeAtomicallySync } from "../files/atomic.js";
import { SYSTEM, thisProcess } from "../files/processes.js";
import { codeOf } from "../files/reason.js";
import { makeFolders, removeEmpty, TAKEOVER, unusable } from "./folder.js";

/** How often a folder is made anew that another process takes away, as it has nothing to put there. */
const ATTEMPTS = 5;

/** The folder is another process's at the moment. */
export class FolderInUse extends InputError {}

/**
 * Takes the lock of a folder, which is made if need be. Requests to stop that were meant for its last owner are removed.
 *
 * @throws FolderInUse if another process has it, or one on another machine may have.
 * @throws InputError if nothing can be written there.
 * @example
 * const lock = lockFolder("runs/a");
 * try {
 *   lock.tell({ epoch: 3 });
 * } finally {
 *   lock.release();
 * }
 */
export function lockFolder(path: string): FolderLock {
  const folder = resolve(path);
  const owner: Owner = { ...thisProcess(), started: new Date().toISOString() };
  for (let attempt = 1; ; attempt++) {
    const made: string[] = [];
    try {
      makeFolders(folder, made);
      take(join(folder, LIVE_FILES.running), textOf(owner), path);
      rmSync(join(folder, LIVE_FILES.stop), { force: true });
      return new FolderLock(folder, owner, made);
    } catch (error) {
      removeEmpty(made);
      if (error instanceof KofnError) throw error;
      if (codeOf(error) !== "ENOENT" || attempt === ATTEMPTS) throw unusable(path, error);
    }
  }
}

/** The locks that this process has. */
const held = new Set<FolderLock>();

function releaseAll(): void {
  for (const lock of held) lock.release();
}

/** The lock of a folder that this process has. Made by {@link lockFolder}. */
export class FolderLock {
  /** The folder's absolute path. */
  readonly folder: string;
  readonly #owner: Owner;
  readonly #made: readonly string[];

  /** @param made the folders that were made for it, outermost first. */
  constructor(folder: string, owner: Owner, made: readonly string[]) {
    this.folder = folder;
    this.#owner = owner;
    this.#made = made;
    // A second Ctrl-C ends the process at once.
    if (held.size === 0) process.on("exit", releaseAll);
    held.add(this);
  }

  /** Says in running.json what there is to say besides whose the folder is. */
  tell(more: Omit<Running, keyof Owner>): void {
    if (this.#isOwn()) writeAtomicallySync(this.#file, textOf({ ...this.#owner, ...more }), false);
  }

  /** Takes the files of a process away, and the folder if there is nothing else in it and it was made here. */
  release(): void {
    if (this.#isOwn()) {
      rmSync(join(this.folder, LIVE_FILES.stop), { force: true });
      rmSync(this.#file, { force: true });
    }
    held.delete(this);
    if (held.size === 0) process.off("exit", releaseAll);
    removeEmpty(this.#made);
  }

  get #file(): string {
    return join(this.folder, LIVE_FILES.running);
  }

  /** Whether it is held, and nobody has removed the file, after which another process may have taken the folder. */
  #isOwn(): boolean {
    const owner = held.has(this) ? ownerIn(this.#file) : undefined;
    return owner !== undefined && owner !== "unknown" && isSame(owner, this.#owner);
  }
}

/**
 * Makes a lock, or replaces that of a process that is gone.
 *
 * @param path the run directory, for messages.
 * @throws FolderInUse if its process is there, or may be.
 */
function take(file: string, text: string, path: string): void {
  while (!createAtomically(file, text)) {
    if (!isAbandoned(file, path)) continue;
    const takeover = `${file}${TAKEOVER}`;
    take(takeover, text, path);
    try {
      // Another process may have been faster.
      if (!isAbandoned(file, path)) continue;
      writeAtomicallySync(file, text, false);
      return;
    } finally {
      rmSync(takeover, { force: true });
    }
  }
}

/**
 * Whether a lock's process is gone, or it names none; false if there is no lock any more.
 *
 * @throws FolderInUse if the process is there, or may be.
 */
function isAbandoned(file: string, path: string): boolean {
  const owner = ownerIn(file);
  if (owner === undefined) return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  if (owner === "unknown") return true;
  const presence = presenceOf(owner, SYSTEM);
  if (presence === "gone") return true;
  const { pid, host, started } = owner;
  const since = started === undefined ? "" : `, since ${started}`;
  if (presence === "elsewhere") {
    throw new FolderInUse(
      `run directory "${path}": expected a folder that no other process writes, but process ${pid} on host "${host}" has taken it${since}, ` +
        `and whether it still runs can't be seen from host "${SYSTEM.host}". If it does not, remove ${file} and try again; else choose another folder.`,
    );
  }
  throw new FolderInUse(
    `run directory "${path}": expected a folder that no other process writes, but ${pid === process.pid ? "this process" : "process"} ${pid} ` +
      `on host "${host}" has taken it${since}. Wait until it ends, stop it, or choose another folder.`,
  );
}

/** Whom a lock names; undefined if there is no such file (a link that leads nowhere is none). */
function ownerIn(file: string): Owner | "unknown" | undefined {
  try {
    return OWNER.safeParse(JSON.parse(readFileSync(file, "utf8"))).data ?? "unknown";
  } catch (error) {
    if (error instanceof SyntaxError) return "unknown";
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isSame(one: ProcessName, other: ProcessName): boolean {
  return one.pid === other.pid && one.host === other.host && one.born === other.born;
}

function textOf(content: object): string {
  return `${JSON.stringify(content)}\n`;
}
