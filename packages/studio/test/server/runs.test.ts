/** Runs as they come, change, go, and stop; the events that tell of it; what keeps a studio from starting. */

import { spawn } from "node:child_process";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Problem, RunDetails, RunList, RunsChanged, RunSummary } from "../../src/api.js";
import { Events } from "../../src/server/events.js";
import { startStudio, type Studio } from "../../src/server/serve.js";
import { StudioError } from "../../src/server/errors.js";
import { makeRun, metricsLine } from "../support/make-run.js";
import { Client, keepTokenIn, studioOf, temporaryFolder, until } from "../support/studio.js";

let root: string;
let studios: Studio[] = [];

beforeEach(async () => {
  const base = await temporaryFolder();
  keepTokenIn(base);
  root = join(base, "runs");
  await mkdir(root);
});
afterEach(async () => {
  await Promise.all(studios.map((studio) => studio.close()));
  studios = [];
});

async function serve(): Promise<Client> {
  const studio = await studioOf(root);
  studios.push(studio);
  return Client.of(studio);
}

async function summaries(client: Client): Promise<Map<string, RunSummary>> {
  const { runs } = await client.json<RunList>("/api/runs");
  return new Map(runs.map((run) => [run.path, run]));
}

/** running.json of a process. */
function running(pid: number, changes: object = {}): string {
  return JSON.stringify({
    pid,
    host: hostname(),
    started: new Date().toISOString(),
    config: { model: "m" },
    ...changes,
  });
}

describe("the list", () => {
  test("has runs of all folders below, but for hidden ones, checkpoints and node_modules", async () => {
    for (const path of ["b", "a/deep/er", ".hidden/x", "node_modules/y", "b/checkpoint"])
      await makeRun(join(root, path));
    await mkdir(join(root, "no-run"));
    const found = await summaries(await serve());
    expect([...found.keys()].sort()).toEqual(["a/deep/er", "b"]);
    expect(found.get("b")).toMatchObject({
      state: "finished",
      epochs: 8,
      model: "lenet-300-100",
      data: "glyphs",
      problems: 0,
    });
    expect(found.get("b")?.compression).toBeCloseTo(266200 / (300 * 17), 9);
  });

  test("of a folder that is a run itself has that run", async () => {
    await makeRun(root);
    expect([...(await summaries(await serve())).keys()]).toEqual(["."]);
  });

  test("follows what happens in the folder, and ids stay for the next studio", async () => {
    const client = await serve();
    expect((await summaries(client)).size).toBe(0);
    await makeRun(join(root, "new"), { epochs: 3, finished: false });
    await until(async () => (await summaries(client)).get("new")?.epochs === 3);
    const before = (await summaries(client)).get("new");
    await appendFile(join(root, "new", "metrics.jsonl"), `${metricsLine(4)}\n`);
    await until(async () => (await summaries(client)).get("new")?.epochs === 4);
    const after = (await summaries(client)).get("new");
    expect(after?.revision).not.toBe(before?.revision);
    expect((await summaries(await serve())).get("new")).toEqual(after);
    await rm(join(root, "new"), { recursive: true });
    await until(async () => (await summaries(client)).size === 0);
    const gone = await client.get(`/api/runs/${before?.id ?? ""}`);
    expect(gone.status).toBe(404);
    expect(((await gone.json()) as Problem).problem).toContain("not any more");
  });

  test("says when the folder is gone, and goes on when it is back", async () => {
    await makeRun(join(root, "a"));
    const client = await serve();
    await rm(root, { recursive: true });
    const list = (): Promise<RunList> => client.json<RunList>("/api/runs");
    await until(async () => (await list()).problem !== null);
    expect(await list()).toMatchObject({ problem: "The folder is gone.", runs: [] });
    await makeRun(join(root, "a"));
    await until(async () => (await list()).runs.length === 1);
    expect((await list()).problem).toBeNull();
  });
});

describe("details", () => {
  test("of an older run do without layers and heatmaps", async () => {
    await makeRun(join(root, "old"), { layers: 0, finished: false });
    const client = await serve();
    const { id } = [...(await summaries(client)).values()][0];
    const details = await client.json<RunDetails>(`/api/runs/${id}`);
    expect(details).toMatchObject({
      layers: [],
      heatmaps: null,
      totals: null,
      hasReportPage: false,
      problems: [],
    });
    expect(details.epochs.epoch).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(details.epochs.confidence).toEqual(Array(8).fill(null));
  });

  test("name what is damaged, and have the rest", async () => {
    await makeRun(join(root, "a"));
    await writeFile(join(root, "a", "report.json"), "{");
    await writeFile(join(root, "a", "config.json"), "[1]");
    await writeFile(join(root, "a", "heatmaps.bin"), "x");
    await writeFile(join(root, "a", "running.json"), '{"pid": "x"}');
    await appendFile(join(root, "a", "metrics.jsonl"), '{"epoch": 9');
    const client = await serve();
    const [summary] = (await summaries(client)).values();
    expect(summary).toMatchObject({ state: "stopped", epochs: 8, problems: 5 });
    const { problems } = await client.json<RunDetails>(`/api/runs/${summary.id}`);
    for (const file of ["report.json", "config.json", "heatmaps.bin", "running.json", "the last line"]) {
      expect(problems.join("\n")).toContain(file);
    }
  });
});

describe("stopping", () => {
  test("is for runs that a process trains", async () => {
    await makeRun(join(root, "a"), { finished: false });
    const file = join(root, "a", "running.json");
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const ended = new Promise((resolve) => child.on("exit", resolve));
    await writeFile(file, running(child.pid ?? 0, { epoch: 3, epochs: 9, step: 20, steps: 90, loss: null }));
    const client = await serve();
    const first = [...(await summaries(client)).values()][0];
    expect(first).toMatchObject({
      state: "running",
      stopping: false,
      progress: { epoch: 3, step: 20, loss: null },
    });

    expect((await client.post(`/api/runs/${first.id}/stop`)).status).toBe(202);
    expect((await client.post(`/api/runs/${first.id}/stop`)).status).toBe(202);
    expect(await readFile(join(root, "a", "stop.request"), "utf8")).toBe("");
    expect((await summaries(client)).get("a")?.stopping).toBe(true);

    child.kill("SIGKILL");
    await ended;
    await until(async () => (await summaries(client)).get("a")?.state === "stopped");
    const refused = await client.post(`/api/runs/${first.id}/stop`);
    expect(refused.status).toBe(409);
    expect(((await refused.json()) as Problem).problem).toContain("No process trains this run");
    expect((await client.get(`/api/runs/${first.id}/stop`)).status).toBe(404);
  });

  test("is not for runs whose process is another's by now, or on another machine", async () => {
    for (const [name, changes] of [
      ["reused", { born: "1" }],
      ["elsewhere", { host: "another-machine" }],
    ] as const) {
      await makeRun(join(root, name), { finished: false });
      await writeFile(join(root, name, "running.json"), running(process.pid, changes));
    }
    const states = [...(await summaries(await serve())).values()].map(({ state }) => state);
    expect(states).toEqual(process.platform === "linux" ? ["stopped", "stopped"] : ["stopped", "running"]);
  });

  test("a run without an epoch yet is shown with its settings", async () => {
    await mkdir(join(root, "first"));
    await writeFile(join(root, "first", "running.json"), running(process.pid));
    const [summary] = (await summaries(await serve())).values();
    expect(summary).toMatchObject({ path: "first", state: "running", model: "m", epochs: 0, problems: 0 });
  });
});

describe("events", () => {
  test("have ids, after which they are sent again", () => {
    const events = new Events();
    const first = events.last;
    const heard: string[] = [];
    const end = events.subscribe(({ id }) => heard.push(id));
    const data = (id: string): RunsChanged => ({ changed: [], removed: [id], problem: null });
    events.publish(data("a"));
    events.publish(data("b"));
    end();
    events.publish(data("c"));
    expect(heard).toHaveLength(2);
    expect(events.after(heard[0])?.map((event) => event.data.removed)).toEqual([["b"], ["c"]]);
    expect(events.after(first)).toHaveLength(3);
    expect(events.after(events.last)).toEqual([]);
    for (let i = 0; i < 300; i++) events.publish(data("d"));
    expect(events.after(heard[0])).toBeUndefined();
    expect(events.after(first)).toBeUndefined();
    expect(events.after(new Events().last)).toBeUndefined();
  });

  test("reach who listens, and who comes back with the id of the last", async () => {
    const client = await serve();
    const { eventId } = await client.json<RunList>("/api/runs");
    const stream = await client.get("/api/events", { "Last-Event-ID": eventId });
    expect(stream.headers.get("content-type")).toContain("text/event-stream");
    await makeRun(join(root, "a"));
    const told = await read(stream, "event: runs");
    expect(told).toContain('"path":"a"');
    const again = await client.get(`/api/events?after=${eventId}`);
    expect(await read(again, '"path":"a"')).toContain("event: runs");
    const stranger = await client.get("/api/events?after=0-0");
    expect(await read(stranger, "event:")).toContain("event: reset");
  });
});

/** What a stream says until it has said a text. */
async function read(response: Response, text: string): Promise<string> {
  let said = "";
  const reader = response.body?.getReader();
  while (!said.includes(text)) {
    const { value, done } = (await reader?.read()) ?? { done: true };
    if (done) break;
    said += new TextDecoder().decode(value);
  }
  await reader?.cancel();
  return said;
}

describe("a studio that can't start", () => {
  test("names the folder and the remedy", async () => {
    const missing = startStudio({ folder: join(root, "none"), port: 0 });
    await expect(missing).rejects.toThrow(/can't show ".*none": there is no such folder.*kofn studio FOLDER/);
    await writeFile(join(root, "file"), "");
    await expect(startStudio({ folder: join(root, "file"), port: 0 })).rejects.toThrow(
      "a file and no folder",
    );
  });

  test("names the port that is taken, or takes another one", async () => {
    const first = await studioOf(root);
    studios.push(first);
    const second = startStudio({ folder: root, port: first.port });
    await expect(second).rejects.toThrow(StudioError);
    await expect(second).rejects.toThrow(
      new RegExp(
        `can't listen on port ${first.port} of 127.0.0.1: it is taken, .*--port ${first.port + 1}\\.`,
      ),
    );
    const third = await startStudio({ folder: root, port: first.port, freePortInstead: true });
    studios.push(third);
    expect(third.port).not.toBe(first.port);
  });
});
