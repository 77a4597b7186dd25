/** `kofn studio` as a process, and how it stops a run. */

import { type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kofn, type Result } from "./process.js";

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-cli-studio-"));
  await mkdir(join(base, "runs"));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

/** Runs kofn and does something once it has written a text to either stream. */
function when(
  args: readonly string[],
  text: string,
  act: (child: ChildProcess, said: string) => void,
): Promise<Result> {
  return kofn(args, {
    cwd: base,
    env: { XDG_STATE_HOME: base, LOCALAPPDATA: base },
    onSpawn: (child) => {
      let said = "";
      let acted = false;
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on("data", (more: string) => {
          said += more;
          if (acted || !said.includes(text)) return;
          acted = true;
          act(child, said);
        });
      }
    },
  });
}

const TRAIN = ["train", "lenet-300-100", "--data", "glyphs", "--limit", "640", "--threads", "1"];
const LONG = [...TRAIN, "--keep", "5%", "--epochs", "100000"];

describe("kofn studio", { timeout: 120_000 }, () => {
  test("prints the address, serves there, and ends at Ctrl-C with 0", async () => {
    let status: Promise<number> | undefined;
    const { code, stdout } = await when(["studio", "--port", "0"], "Ctrl-C ends it.", (child, said) => {
      const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "";
      status = fetch(`${origin}/api/runs`).then((response) => response.status);
      void status.finally(() => child.kill("SIGINT"));
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^The studio shows the runs in runs:\n {2}http:\/\/127\.0\.0\.1:\d+\/#token=[0-9a-f]{32}\n$/,
    );
    expect(await status).toBe(401);
  });

  test("says what is wrong with the folder or the port", async () => {
    const missing = await kofn(["studio", "nowhere"], { cwd: base });
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('can\'t show "nowhere": there is no such folder');
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as AddressInfo;
    const second = await kofn(["studio", "--port", String(port)], { cwd: base });
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`can't listen on port ${port} of 127.0.0.1: it is taken`);
    expect(second.stderr).toContain(`kofn studio runs --port ${port + 1}`);
    taken.close();
    for (const wrong of ["x", "-1", "70000", "1.5"]) {
      const { code, stderr } = await kofn(["studio", `--port=${wrong}`], { cwd: base });
      expect(code, wrong).toBe(2);
      expect(stderr).toContain("--port: expected a whole number from 0 to 65535");
    }
  });
});

describe("a run", () => {
  test("says that it is trained, stops when asked to, and can be resumed", async () => {
    const folder = join(base, "runs", "stopped");
    // What a run leaves that was killed before its first epoch.
    await mkdir(folder);
    await writeFile(join(folder, "running.json"), "{}");
    await writeFile(join(folder, "stop.request"), "");
    let running: unknown;
    const { code, stderr } = await when([...LONG, "--out", "runs/stopped"], "epoch      3/", () => {
      running = JSON.parse(readFileSync(join(folder, "running.json"), "utf8"));
      void writeFile(join(folder, "stop.request"), "");
    });
    expect(code).toBe(130);
    expect(running).toMatchObject({
      pid: expect.any(Number) as number,
      host: hostname(),
      config: { model: "lenet-300-100", data: "glyphs", epochs: 100000 },
    });
    expect(stderr).toContain("stopping, as the studio asks");
    expect(stderr).toContain(
      "stopped from the studio: the finished epochs are in runs/stopped; go on with kofn train --resume",
    );
    expect((await readdir(folder)).filter((name) => /^(running|stop)\./.test(name))).toEqual([]);

    // A request that came too late is not one to the next process.
    await writeFile(join(folder, "stop.request"), "");
    const resumed = await when(["train", "--resume", "--out", "runs/stopped"], "epoch ", (child) => {
      child.kill("SIGINT");
    });
    expect(resumed.code).toBe(130);
    expect(resumed.stderr).toContain("interrupted: ");
    expect(resumed.stderr).not.toContain("epoch      1/");
  }, 120_000);

  test("that is stopped before its first epoch leaves nothing", async () => {
    const file = join(base, "new", "deep", "run", "running.json");
    const { code, stderr } = await kofn(
      ["train", "lenet-300-100", "--data", "glyphs", "--threads", "1", "--out", "new/deep/run"],
      {
        cwd: base,
        onSpawn: (child) => {
          const timer = setInterval(() => {
            if (!existsSync(file)) return;
            clearInterval(timer);
            child.kill("SIGINT");
          }, 10);
        },
      },
    );
    expect(code).toBe(130);
    expect(stderr).toContain("nothing was written.");
    expect(existsSync(join(base, "new"))).toBe(false);
  }, 120_000);

  test("with --studio is shown while it trains and afterwards, until Ctrl-C", async () => {
    const args = [...TRAIN, "--epochs", "1", "--out", "runs/shown", "--studio"];
    const { code, stderr, stdout } = await when(args, "The studio stays open", (child) =>
      child.kill("SIGINT"),
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/^studio: http:\/\/127\.0\.0\.1:\d+\/#token=[0-9a-f]{32}$/m);
    expect(stdout).toContain("The result is in runs/shown.");
    expect((await readdir(join(base, "runs", "shown"))).sort()).toContain("report.json");
    expect(existsSync(join(base, "runs", "shown", "running.json"))).toBe(false);
  }, 120_000);
});
