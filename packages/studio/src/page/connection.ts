/** The connection with the server: the list of runs, then events; after an interruption it is taken up again. */

import { signal } from "@preact/signals";
import type { RunsChanged } from "../api.js";
import { fetchList, Refused, startSession } from "./requests.js";
import { takeChanges, takeList } from "./store.js";

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** Trying again in so many seconds. */
  | { readonly kind: "lost"; readonly retryIn: number }
  /** The server does not know this page. */
  | { readonly kind: "refused"; readonly problem: string };

export const connection = signal<Connection>({ kind: "connecting" });
/** Something to say once. */
export const notice = signal("");

const FIRST_RETRY_S = 1;
const LONGEST_RETRY_S = 8;
/** The server sends something at least every 10 seconds. */
const SILENCE_MS = 25_000;
/** A page that nobody looks at gives its connection back: a browser has six for all tabs. */
const HIDDEN_MS = 5_000;
const NOTICE_MS = 8_000;

let source: EventSource | undefined;
/** The part of event ids that says which server made them. */
let server: string | undefined;
let retryDelay = FIRST_RETRY_S;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let silenceTimer: ReturnType<typeof setTimeout> | undefined;
let hiddenTimer: ReturnType<typeof setTimeout> | undefined;

/** Shows the server the token that the address holds, takes it out of the address, and connects. */
export async function connect(): Promise<void> {
  const token = /^#token=([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    history.replaceState(null, "", "#/");
    try {
      await startSession(token);
    } catch (error) {
      if (error instanceof Refused) connection.value = { kind: "refused", problem: error.message };
      else lost();
      return;
    }
  }
  document.addEventListener("visibilitychange", onVisibility);
  await open();
}

/** Tries again at once. */
export function retryNow(): void {
  clearTimeout(retryTimer);
  void open();
}

async function open(): Promise<void> {
  try {
    const list = await fetchList();
    takeList(list);
    listen(list.eventId);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      close();
      connection.value = { kind: "refused", problem: error.message };
    } else lost();
  }
}

function listen(after: string): void {
  close();
  const [now] = after.split("-");
  if (connection.value.kind === "lost") {
    say(server === now ? "Connected again." : "Connected again: the studio was started anew.");
  }
  server = now;
  const events = new EventSource(`/api/events?after=${encodeURIComponent(after)}`);
  source = events;
  events.onopen = () => {
    retryDelay = FIRST_RETRY_S;
    connection.value = { kind: "open" };
    heard();
  };
  events.onerror = lost;
  events.addEventListener("ping", heard);
  events.addEventListener("reset", () => void open());
  events.addEventListener("runs", ({ data }: MessageEvent<string>) => {
    heard();
    takeChanges(JSON.parse(data) as RunsChanged);
  });
}

function heard(): void {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(lost, SILENCE_MS);
}

function close(): void {
  clearTimeout(silenceTimer);
  source?.close();
  source = undefined;
}

function lost(): void {
  close();
  clearTimeout(retryTimer);
  connection.value = { kind: "lost", retryIn: retryDelay };
  retryTimer = setTimeout(() => void open(), retryDelay * 1000);
  retryDelay = Math.min(LONGEST_RETRY_S, retryDelay * 2);
}

function onVisibility(): void {
  clearTimeout(hiddenTimer);
  if (document.visibilityState === "hidden") hiddenTimer = setTimeout(close, HIDDEN_MS);
  else if (source === undefined && connection.value.kind === "open") void open();
}

function say(text: string): void {
  notice.value = text;
  setTimeout(() => {
    if (notice.value === text) notice.value = "";
  }, NOTICE_MS);
}
