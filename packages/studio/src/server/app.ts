/** What the server answers: the page's files, the API, and the events. */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { setCookie } from "hono/cookie";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { z } from "zod";
import type { RunList } from "../api.js";
import type { Asset } from "./assets.js";
import { messageOf } from "./errors.js";
import type { StudioEvent } from "./events.js";
import { cookieName, guardSession, guardSite, hostsOf, refuse, REPORT_POLICY } from "./guard.js";
import { parseJson } from "./json-file.js";
import type { Run } from "./run.js";
import type { Runs } from "./runs.js";
import { cookieValue, isSame } from "./token.js";

/** A page that hears nothing for longer takes the server for gone. */
const PING_MS = 10_000;
/** A page that takes nothing any more is let go. */
const MOST_WAITING = 500;

const SESSION = z.object({ token: z.string() });
const MOST_SESSION_BYTES = 1000;

export interface AppOptions {
  /** As the user has named it. */
  readonly folder: string;
  readonly port: number;
  readonly token: string;
  readonly runs: Runs;
  readonly assets: ReadonlyMap<string, Asset>;
}

export function createApp({ folder, port, token, runs, assets }: AppOptions): Hono {
  const app = new Hono();
  const secret = cookieValue(token);
  app.use(guardSite(hostsOf(port)));
  app.onError((error, context) => refuse(context, 500, messageOf(error)));
  app.notFound((context) => refuse(context, 404, "There is nothing at this address."));

  const limit = bodyLimit({
    maxSize: MOST_SESSION_BYTES,
    onError: (context) =>
      refuse(context, 413, `Expected a token in at most ${MOST_SESSION_BYTES} bytes, got more.`),
  });
  app.post("/api/session", limit, async (context) => {
    const body = await context.req.text();
    if (!isSame(tokenIn(body), token)) {
      return refuse(
        context,
        401,
        "The token is not this server's. Open the address that kofn studio has printed.",
      );
    }
    setCookie(context, cookieName(port), secret, { httpOnly: true, sameSite: "Strict", path: "/" });
    return context.body(null, 204);
  });

  for (const [path, { type, bytes }] of assets) {
    app.get(path, (context) => context.body(bytes, 200, { "Content-Type": type }));
  }

  const session = guardSession(cookieName(port), secret);
  app.use("/api/*", session);
  app.use("/reports/*", session);

  addRuns(app, folder, runs);
  app.get("/api/events", (context) => {
    const from = context.req.header("last-event-id") ?? context.req.query("after");
    return streamSSE(context, (stream) => sendEvents(stream, runs, from));
  });
  return app;
}

/** What pages ask of runs: the list, one run, its layers, its pictures and its report; and to stop it. */
function addRuns(app: Hono, folder: string, runs: Runs): void {
  app.get("/api/runs", (context) =>
    context.json<RunList>({
      folder,
      problem: runs.problem,
      eventId: runs.events.last,
      runs: runs.summaries(),
    }),
  );

  app.get("/api/runs/:id", (context) => withRun(context, runs, (run) => context.json(run.details())));

  app.get("/api/runs/:id/layers/:index{[0-9]{1,6}}", (context) =>
    withRun(context, runs, (run) => {
      const layer = run.layer(Number(context.req.param("index")));
      return layer === undefined ? refuse(context, 404, "The run has no such layer.") : context.json(layer);
    }),
  );

  const cells = (context: Context, epoch: string, layer?: string): Promise<Response> =>
    withRun(context, runs, async (run) => {
      const found = await run.cells(Number(epoch), layer === undefined ? undefined : Number(layer));
      if (found === undefined) return refuse(context, 404, "The run has no such heatmap.");
      return context.body(found.slice().buffer, 200, { "Content-Type": "application/octet-stream" });
    });
  app.get("/api/runs/:id/heatmaps/:epoch{[0-9]{1,9}}", (context) =>
    cells(context, context.req.param("epoch")),
  );
  app.get("/api/runs/:id/heatmaps/:epoch{[0-9]{1,9}}/:layer{[0-9]{1,6}}", (context) =>
    cells(context, context.req.param("epoch"), context.req.param("layer")),
  );

  app.post("/api/runs/:id/stop", (context) =>
    withRun(context, runs, async (run) => {
      await runs.refresh(run);
      if (run.state !== "running")
        return refuse(context, 409, "No process trains this run, so there is none to stop.");
      await run.requestStop();
      await runs.refresh(run);
      return context.body(null, 202);
    }),
  );

  app.get("/reports/:id", (context) =>
    withRun(context, runs, async (run) => {
      const page = await run.reportPage().catch(() => undefined);
      if (page === undefined) return refuse(context, 404, "The run has no report.html.");
      const headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": REPORT_POLICY,
      };
      return context.body(new Uint8Array(page), 200, headers);
    }),
  );
}

/** Sends what happens to runs, beginning with what a page has missed since the event of the id `from`, until the page leaves. */
function sendEvents(stream: SSEStreamingApi, runs: Runs, from: string | undefined): Promise<void> {
  return new Promise<void>((resolve) => {
    const missed = from === undefined ? undefined : runs.events.after(from);
    let waiting = 0;
    // After one that could not be sent, none is.
    let sending: Promise<unknown> = Promise.resolve();
    const send = (event: string, data: unknown, id?: string): void => {
      if (++waiting > MOST_WAITING) {
        end();
        return;
      }
      const message = { event, data: JSON.stringify(data), ...(id === undefined ? {} : { id }) };
      sending = sending.then(() => stream.writeSSE(message)).then(() => waiting--);
      sending.catch(end);
    };
    const sendRuns = ({ id, data }: StudioEvent): void => {
      send("runs", data, id);
    };
    const unsubscribe = runs.events.subscribe(sendRuns);
    const pings = setInterval(() => {
      send("ping", null);
    }, PING_MS);
    const end = (): void => {
      unsubscribe();
      clearInterval(pings);
      resolve();
    };
    stream.onAbort(end);
    // A page that can't be told what it has missed reads the list anew.
    if (missed === undefined) send("reset", null);
    else for (const event of missed) sendRuns(event);
  });
}

function tokenIn(body: string): string {
  try {
    return parseJson(body, SESSION).token;
  } catch {
    return "";
  }
}

async function withRun(
  context: Context,
  runs: Runs,
  answer: (run: Run) => Response | Promise<Response>,
): Promise<Response> {
  const run = runs.get(context.req.param("id") ?? "");
  return run === undefined ? refuse(context, 404, "There is no such run, or not any more.") : answer(run);
}
