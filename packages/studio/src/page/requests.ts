/** Asks the server. */

import type { LayerHistory, Problem, RunDetails, RunList } from "../api.js";

/** The server has answered that it will not. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, problem: string) {
    super(problem);
    this.status = status;
  }
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, { credentials: "same-origin", ...init });
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as Partial<Problem>;
  throw new Refused(response.status, body.problem ?? `The server answered ${response.status}.`);
}

export async function startSession(token: string): Promise<void> {
  await ask("/api/session", { method: "POST", body: JSON.stringify({ token }) });
}

export async function fetchList(): Promise<RunList> {
  return (await (await ask("/api/runs")).json()) as RunList;
}

export async function fetchDetails(id: string): Promise<RunDetails> {
  return (await (await ask(`/api/runs/${id}`)).json()) as RunDetails;
}

export async function fetchLayer(id: string, index: number): Promise<LayerHistory> {
  return (await (await ask(`/api/runs/${id}/layers/${index}`)).json()) as LayerHistory;
}

/** @param epoch from 0. @returns the cells of all layers, one layer after the other. */
export async function fetchCells(id: string, epoch: number): Promise<Uint8Array> {
  return new Uint8Array(await (await ask(`/api/runs/${id}/heatmaps/${epoch}`)).arrayBuffer());
}

/** The same of one layer. */
export async function fetchLayerCells(id: string, epoch: number, layer: number): Promise<Uint8Array> {
  return new Uint8Array(await (await ask(`/api/runs/${id}/heatmaps/${epoch}/${layer}`)).arrayBuffer());
}

export async function requestStop(id: string): Promise<void> {
  await ask(`/api/runs/${id}/stop`, { method: "POST" });
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
