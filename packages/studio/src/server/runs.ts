/** All runs below the folder, kept up to date: by the system's notices of changes, and by looking from time to time. */

import { type FSWatcher, watch } from "node:fs";
import type { RunSummary } from "../api.js";
import { discoverRuns } from "./discover.js";
import { codeOf, messageOf } from "./errors.js";
import { Events } from "./events.js";
import { Run } from "./run.js";

/** Runs that are trained are looked at this often, whatever the system says. */
const RUNNING_MS = 1000;
/** All others, and the folder; less often if looking takes long. */
const ALL_MS = 4000;
/** Looking takes at most this share of the time. */
const SHARE = 0.05;
/** Notices that come together are one. */
const TOGETHER_MS = 80;
const MOST_WATCHED = 500;

export class Runs {
  readonly events = new Events();
  readonly #root: string;
  readonly #runs = new Map<string, Run>();
  /** What was told of each run last, as JSON. */
  readonly #told = new Map<string, string>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #noticed = new Set<string>();
  #problem: string | null = null;
  #ended = false;
  #noticeTimer: NodeJS.Timeout | undefined;
  #allTimer: NodeJS.Timeout | undefined;
  #runningTimer: NodeJS.Timeout | undefined;
  /** What is being done, to do one thing at a time. */
  #work: Promise<void> = Promise.resolve();

  /** @param root the real path of the folder. */
  constructor(root: string) {
    this.#root = root;
  }

  /** What keeps the folder from being read. */
  get problem(): string | null {
    return this.#problem;
  }

  get(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  summaries(): RunSummary[] {
    return [...this.#runs.values()].map((run) => run.summary());
  }

  /** Finds the runs, and begins to follow them. */
  async start(): Promise<void> {
    this.#watch("", this.#root);
    await this.#lookAtAll();
    this.#runningTimer = setInterval(() => {
      void this.#next(() =>
        this.#refresh([...this.#runs.values()].filter(({ state }) => state === "running")),
      );
    }, RUNNING_MS);
  }

  /** Looks at a run now. */
  async refresh(run: Run): Promise<void> {
    await this.#next(() => this.#refresh([run]));
  }

  close(): void {
    this.#ended = true;
    clearTimeout(this.#noticeTimer);
    clearTimeout(this.#allTimer);
    clearInterval(this.#runningTimer);
    for (const watcher of this.#watchers.values()) watcher.close();
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(() => (this.#ended ? undefined : work()));
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #lookAtAll(): Promise<void> {
    const begin = performance.now();
    await this.#next(() => this.#rescan());
    if (this.#ended) return;
    clearTimeout(this.#allTimer);
    const delay = Math.max(ALL_MS, (performance.now() - begin) / SHARE);
    this.#allTimer = setTimeout(() => {
      void this.#lookAtAll();
    }, delay);
  }

  async #rescan(): Promise<void> {
    let paths: string[] = [];
    const before = this.#problem;
    try {
      paths = await discoverRuns(this.#root);
      this.#problem = null;
    } catch (error) {
      this.#problem =
        codeOf(error) === "ENOENT" ? "The folder is gone." : `The folder can't be read: ${messageOf(error)}.`;
    }
    const there = new Set(paths);
    const removed = [...this.#runs.values()].filter(({ path }) => !there.has(path)).map(({ id }) => id);
    for (const id of removed) {
      this.#runs.delete(id);
      this.#told.delete(id);
      this.#unwatch(id);
    }
    const known = new Set([...this.#runs.values()].map(({ path }) => path));
    for (const path of paths) {
      if (known.has(path)) continue;
      const run = new Run(this.#root, path);
      this.#runs.set(run.id, run);
      this.#watch(run.id, run.folder);
    }
    await this.#refresh([...this.#runs.values()], removed, before !== this.#problem);
  }

  /** Looks at runs, and tells what has changed. */
  async #refresh(runs: readonly Run[], removed: readonly string[] = [], always = false): Promise<void> {
    const changed: RunSummary[] = [];
    for (const run of runs) {
      await run.refresh();
      const summary = run.summary();
      const json = JSON.stringify(summary);
      if (json === this.#told.get(run.id)) continue;
      this.#told.set(run.id, json);
      changed.push(summary);
    }
    if (changed.length === 0 && removed.length === 0 && !always) return;
    this.events.publish({ changed, removed, problem: this.#problem });
  }

  /** @param id of the run, or "" for the folder with all. */
  #watch(id: string, folder: string): void {
    if (this.#watchers.size >= MOST_WATCHED) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        this.#notice(id);
      });
      // Where there are no notices, looking from time to time has to do.
      watcher.on("error", () => {
        this.#unwatch(id);
      });
      this.#watchers.set(id, watcher);
    } catch {
      // As above.
    }
  }

  #unwatch(id: string): void {
    this.#watchers.get(id)?.close();
    this.#watchers.delete(id);
  }

  #notice(id: string): void {
    if (this.#ended) return;
    this.#noticed.add(id);
    this.#noticeTimer ??= setTimeout(() => {
      this.#noticeTimer = undefined;
      const ids = [...this.#noticed];
      this.#noticed.clear();
      const runs = ids.flatMap((noticed) => this.#runs.get(noticed) ?? []);
      // A folder that was deleted gives notice like one that has changed.
      if (ids.includes("") || runs.some(({ state }) => state !== "running")) void this.#lookAtAll();
      else void this.#next(() => this.#refresh(runs));
    }, TOGETHER_MS);
  }
}
