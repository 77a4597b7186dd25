/** Who is refused: other hosts, other sites, pages without the token; and what no address leads to. */

import { existsSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunDetails, RunList } from "../../src/api.js";
import type { Studio } from "../../src/server/serve.js";
import { makeRun } from "../support/make-run.js";
import { Client, keepTokenIn, studioOf, temporaryFolder } from "../support/studio.js";

let studio: Studio;
let client: Client;
let base: string;
let root: string;

beforeAll(async () => {
  base = await temporaryFolder();
  keepTokenIn(base);
  root = join(base, "runs");
  await makeRun(join(root, "a"));
  studio = await studioOf(root);
  client = await Client.of(studio);
});
afterAll(() => studio.close());

/** Asks with any Host header, which fetch does not allow, and a path as it stands. */
function ask(path: string, headers: Record<string, string>, method = "GET"): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port: studio.port, path, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });
}

describe("the Host header", () => {
  test("names 127.0.0.1 or localhost and the port", async () => {
    const { port } = studio;
    expect(await ask("/", { Host: `127.0.0.1:${port}` })).toBe(200);
    expect(await ask("/", { Host: `localhost:${port}` })).toBe(200);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1:${port + 1}`]) {
      expect(await ask("/", { Host: host }), host).toBeGreaterThanOrEqual(400);
      expect(await ask("/api/runs", { Host: host, Cookie: client.cookie }), host).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("the token", () => {
  test("is needed for everything but the page's own files", async () => {
    const [{ id }] = (await client.json<RunList>("/api/runs")).runs;
    const paths = [
      ...["/api/runs", `/api/runs/${id}`, `/api/runs/${id}/layers/0`, `/api/runs/${id}/heatmaps/0`],
      ...[`/api/runs/${id}/heatmaps/0/0`, "/api/events", `/reports/${id}`],
    ];
    for (const path of paths) {
      expect((await client.get(path, { Cookie: "" })).status, path).toBe(401);
      expect((await client.get(path, { Cookie: client.cookie.slice(0, -1) })).status, path).toBe(401);
      if (path !== "/api/events") expect((await client.get(path)).status, path).toBe(200);
    }
    expect((await client.post(`/api/runs/${id}/stop`, { Cookie: "" })).status).toBe(401);
    expect((await client.get("/", { Cookie: "" })).status).toBe(200);
  });

  test("is exchanged for a cookie that scripts and other sites do not get", async () => {
    const cookie = (await client.session(client.token)).headers.get("set-cookie");
    expect(cookie).toContain("HttpOnly");
    expect(cookie).toContain("SameSite=Strict");
    expect(cookie).not.toContain(client.token);
    expect((await client.session("0".repeat(32))).status).toBe(401);
    expect((await client.session("x".repeat(900))).status).toBe(401);
    const damaged = await fetch(`${client.origin}/api/session`, {
      method: "POST",
      body: "{",
      headers: { Origin: client.origin },
    });
    expect(damaged.status).toBe(401);
  });

  /** Asks for a session with a body that never ends, until the server lets go of the connection. */
  function askEndlessly(headers: Record<string, string>, chunk?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      let status = 0;
      let isOpen = true;
      const to = { host: "127.0.0.1", port: studio.port, path: "/api/session", method: "POST" };
      const asking = request({ ...to, headers: { Origin: client.origin, ...headers } }, (response) => {
        status = response.statusCode ?? 0;
        response.resume();
      });
      asking.on("error", (error) => {
        if (status === 0) reject(error);
      });
      asking.on("close", () => {
        isOpen = false;
        resolve(status);
      });
      const write = (): void => {
        if (isOpen) asking.write(chunk, write);
      };
      if (chunk === undefined) asking.flushHeaders();
      else write();
    });
  }

  test("takes no more of a body than it can have", async () => {
    expect(await askEndlessly({ "Content-Length": "1000000000" })).toBe(413);
    expect(await askEndlessly({ "Transfer-Encoding": "chunked" }, "x".repeat(100))).toBe(413);
    expect((await client.session("x".repeat(5000))).status).toBe(413);
  });

  test("stays the same for the next studio", async () => {
    const next = await studioOf(root);
    expect(new Client(next).token).toBe(client.token);
    await next.close();
  });
});

describe("requests from other sites", () => {
  test("are refused by Origin and by Sec-Fetch-Site", async () => {
    const [{ id }] = (await client.json<RunList>("/api/runs")).runs;
    for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${studio.port + 1}`]) {
      expect((await client.post(`/api/runs/${id}/stop`, { Origin: origin })).status, origin).toBe(403);
    }
    expect(await ask(`/api/runs/${id}/stop`, { Cookie: client.cookie }, "POST")).toBe(403);
    for (const site of ["cross-site", "same-site"]) {
      expect((await client.get("/api/runs", { "Sec-Fetch-Site": site })).status, site).toBe(403);
    }
    expect(existsSync(join(root, "a", "stop.request"))).toBe(false);
  });
});

describe("headers", () => {
  test("forbid scripts of others, frames, sniffing and keeping", async () => {
    for (const path of ["/", "/api/runs", "/nothing"]) {
      const { headers } = await client.get(path);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
    const page = await (await client.get("/")).text();
    expect(page).not.toMatch(/<script(?![^>]*\bsrc=)/);
  });

  test("put a run's report into a sandbox without scripts", async () => {
    const [{ id }] = (await client.json<RunList>("/api/runs")).runs;
    const { headers } = await client.get(`/reports/${id}`);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^sandbox; default-src 'none'/);
    expect(policy).not.toContain("script");
    expect(policy).not.toContain("allow");
  });
});

describe("files", () => {
  test("no address leads to a file by its path", async () => {
    await writeFile(join(base, "secret.txt"), "secret");
    const paths = [
      ...[
        "/../secret.txt",
        "/..%2f..%2fsecret.txt",
        "/assets/../../../package.json",
        "/assets/..%2f..%2findex.js",
      ],
      ...["/api/runs/..%2f..%2fsecret.txt", "/api/runs/%2e%2e/secret.txt", "/reports/..%2fsecret.txt"],
      ...["/api/runs/a", "/runs/a/config.json", "/api/runs/a/config.json", "//etc/passwd", "/%00"],
    ];
    for (const path of paths) {
      const status = await ask(path, { Host: `127.0.0.1:${studio.port}`, Cookie: client.cookie });
      expect(status, path).toBeGreaterThanOrEqual(400);
    }
  });

  test("symbolic links out of the folder are not followed", async () => {
    const outside = join(base, "outside");
    await makeRun(outside);
    await writeFile(join(outside, "report.html"), "secret report");
    // A folder that is a link is no run; files that are links belong to none.
    await symlink(outside, join(root, "linked"));
    await mkdir(join(root, "b"));
    for (const name of ["config.json", "metrics.jsonl", "report.json", "heatmaps.bin", "report.html"]) {
      await symlink(join(outside, name), join(root, "b", name));
    }
    const other = await studioOf(root);
    const asking = await Client.of(other);
    const { runs } = await asking.json<RunList>("/api/runs");
    expect(runs.map(({ path }) => path)).toEqual(["a", "b"]);
    const [, { id }] = runs;
    const details = await asking.json<RunDetails>(`/api/runs/${id}`);
    expect(details).toMatchObject({ config: null, heatmaps: null, totals: null, epochs: { epoch: [] } });
    expect(details.problems.join()).toContain("leads out of the folder");
    expect((await asking.get(`/reports/${id}`)).status).toBe(404);
    expect((await asking.get(`/api/runs/${id}/heatmaps/0`)).status).toBe(404);
    await other.close();
  });

  test("a pipe in place of a file does not stop the server", async () => {
    const folder = await temporaryFolder();
    await makeRun(join(folder, "c"), { finished: false });
    const { execFileSync } = await import("node:child_process");
    execFileSync("mkfifo", [join(folder, "c", "report.json")]);
    const other = await studioOf(folder);
    const asking = await Client.of(other);
    const { runs } = await asking.json<RunList>("/api/runs");
    expect(runs[0]).toMatchObject({ path: "c", state: "stopped", epochs: 8 });
    await other.close();
  });
});
