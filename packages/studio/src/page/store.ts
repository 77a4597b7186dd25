/** What the page knows of all runs. */

import { computed, signal } from "@preact/signals";
import type { RunList, RunsChanged, RunSummary } from "../api.js";

/** The folder that is shown, as the user has named it. */
export const folder = signal("");
/** What keeps the server from reading the folder. */
export const folderProblem = signal<string | null>(null);
export const runs = signal<ReadonlyMap<string, RunSummary>>(new Map());
/** Whether the list has come. */
export const loaded = signal(false);

export const runList = computed(() => [...runs.value.values()]);

/** As many runs as there are colours. */
export const MOST_COMPARED = 8;
/** Ids of the runs that are ticked for a comparison, in order. */
export const chosen = signal<readonly string[]>([]);

export function toggleChosen(id: string): void {
  const now = chosen.value;
  if (now.includes(id)) chosen.value = now.filter((each) => each !== id);
  else if (now.length < MOST_COMPARED) chosen.value = [...now, id];
}

export function takeList(list: RunList): void {
  folder.value = list.folder;
  folderProblem.value = list.problem;
  runs.value = new Map(list.runs.map((run) => [run.id, run]));
  loaded.value = true;
}

export function takeChanges({ changed, removed, problem }: RunsChanged): void {
  folderProblem.value = problem;
  const next = new Map(runs.value);
  for (const id of removed) next.delete(id);
  for (const run of changed) next.set(run.id, run);
  runs.value = next;
}
