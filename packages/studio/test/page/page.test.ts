/** The built page in Chromium, with the real server: what it shows, live, and how it gets on with what happens. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Studio } from "../../src/server/serve.js";
import { hasChromium, launchChromium } from "../support/chromium.js";
import { heatmapRecord, makeRun, metricsLine } from "../support/make-run.js";
import { keepTokenIn, studioOf, temporaryFolder } from "../support/studio.js";

const KOFN = fileURLToPath(new URL("../../../kofn/bin/kofn.js", import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe.skipIf(!hasChromium())("the page", { timeout: 180_000 }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let base: string;
  let root: string;
  let studio: Studio;
  let complaints: string[];
  let children: ChildProcess[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
  }, 120_000);
  afterAll(() => browser.close());

  beforeEach(async () => {
    base = await temporaryFolder();
    keepTokenIn(base);
    root = join(base, "runs");
    await mkdir(root);
    context = await browser.newContext({ colorScheme: "light" });
    context.setDefaultTimeout(60_000);
    page = await context.newPage();
    complaints = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
  });
  afterEach(async () => {
    for (const child of children) child.kill("SIGKILL");
    children = [];
    await context.close();
    await studio.close();
  });

  async function open(): Promise<void> {
    studio = await studioOf(root);
    await page.goto(studio.url);
  }

  const rows = () => page.locator("table.runs tbody tr");
  const columnOf = (number: number): Promise<string[]> =>
    page.locator(`table.runs tbody tr > :nth-child(${number})`).allInnerTexts();
  const openRun = (path: string) => page.getByRole("link", { name: path, exact: true }).click();
  const textOf = (selector: string): Promise<string> => page.locator(selector).first().innerText();

  test("shows the runs, sorts and filters them, and leaves no token in the address", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      await makeRun(join(root, `run-${seed}`), {
        seed,
        finished: seed > 1,
        data: seed > 3 ? "mnist" : "glyphs",
      });
    }
    await open();
    await rows().nth(4).waitFor();
    expect(page.url()).not.toContain("token");
    await page.getByRole("button", { name: "Compression" }).click();
    const factors = (await columnOf(9)).slice(0, 4).map(parseFloat);
    expect(factors).toEqual([...factors].sort((one, other) => other - one));
    expect((await columnOf(9))[4]).toBe("–");
    await page.getByRole("button", { name: "Compression" }).click();
    expect((await columnOf(9)).slice(0, 4).map(parseFloat)).toEqual(factors.reverse());
    await page.getByLabel("Filter").fill("MNIST run");
    expect((await columnOf(2)).sort()).toEqual(["run-4", "run-5"]);
    await page.getByLabel("Filter").fill("");
    await page.getByLabel("State").selectOption("stopped");
    expect(await columnOf(2)).toEqual(["run-1"]);
    expect(complaints).toEqual([]);
  });

  test("draws a run, goes through the epochs of its masks, and reads cells by the keyboard", async () => {
    await makeRun(join(root, "a"), { epochs: 9, layers: 4 });
    await open();
    await openRun("a");
    await page.locator(".thumbnails[data-epoch='8'] canvas").first().waitFor();
    expect(await page.locator(".plot canvas").count()).toBe(3);
    expect(await page.locator("table.layers tbody tr").count()).toBe(4);

    const inked = (): Promise<string> =>
      page
        .locator(".thumbnail canvas")
        .first()
        .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const last = await inked();
    await page.getByRole("slider").fill("2");
    await page.locator(".thumbnails[data-epoch='2']").waitFor();
    await page.waitForFunction(
      (before) => document.querySelector<HTMLCanvasElement>(".thumbnail canvas")?.toDataURL() !== before,
      last,
    );
    expect(await textOf(".scrubber label")).toContain("Epoch 3 of 9");

    await page.getByRole("button", { name: /^Mask of fc2/ }).click();
    const zoom = page.getByRole("img", { name: /^Mask of fc2 in epoch 3/ });
    await zoom.focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
    // The second layer's cell in row 1 and column 1: the first key shows where one is.
    const cell = heatmapRecord(3, { epochs: 9, layers: 4 })[4096 + 64 + 1];
    const readout = `group 5 to 9, unit 13 to 24: ${((100 * cell) / 255).toFixed(1)} % kept`;
    await page.locator(".zoom .readout", { hasText: readout }).waitFor();
    await page.getByRole("img", { name: /^Mask metrics/ }).focus();
    await page.keyboard.press("Home");
    await page.locator(".panel .chart-where", { hasText: "epoch 1" }).waitFor();

    const [report] = await Promise.all([
      context.waitForEvent("page"),
      page.getByRole("link", { name: "Report" }).click(),
    ]);
    await report.getByRole("heading", { name: "Report of" }).waitFor();
    expect(await report.title()).toBe("Report");
    expect(complaints).toEqual([]);
  });

  test("lays runs over each other, and puts the Pareto front through all", async () => {
    for (let seed = 1; seed <= 6; seed++)
      await makeRun(join(root, `run-${seed}`), { seed, epochs: 3 + seed });
    await open();
    for (const name of ["run-2", "run-5"])
      await page.getByRole("checkbox", { name: `Compare ${name}` }).check();
    await page.getByRole("link", { name: "Compare 2" }).click();
    await page.locator(".plot canvas").nth(3).waitFor();
    expect(await page.locator(".chart").first().locator(".legend-label").allInnerTexts()).toEqual([
      "run-2",
      "run-5",
    ]);
    const differing = page.getByRole("region", { name: "Settings that differ" });
    expect(await differing.locator("tbody th").allInnerTexts()).toEqual(["prune", "epochs", "seed"]);
    await page.getByRole("button", { name: "Leave out run-2" }).click();
    await page.locator(".chart").first().getByText("run-2").waitFor({ state: "detached" });

    await page.getByRole("link", { name: "Trade-offs" }).click();
    await page.locator("circle").first().waitFor();
    expect(await page.locator(".scatter").first().locator("circle").count()).toBe(6);
    await page.locator(".scatter").first().focus();
    await page.keyboard.press("End");
    const readout = page.locator(".readout", { hasText: "on the Pareto front" });
    const most = await readout.first().innerText();
    await page.keyboard.press("Enter");
    await page.locator("h1", { hasText: most.split(":")[0] }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("follows a real training and stops it", async () => {
    await open();
    await page.getByText("There are no runs in").waitFor();
    const out = join(root, "live");
    const args = [
      "train",
      "lenet-300-100",
      "--data",
      "glyphs",
      "--limit",
      "640",
      "--prune",
      "fc1=weights:40",
    ];
    const child = spawn(process.execPath, [
      KOFN,
      ...args,
      "--epochs",
      "100000",
      "--threads",
      "1",
      "--out",
      out,
    ]);
    children.push(child);
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const ended = once(child, "exit");
    await openRun("live");
    await page.locator(".run-head .badge.running").waitFor();
    await page.locator(".plot canvas").first().waitFor();
    const newest = async (): Promise<number> => Number((await textOf(".tile:last-child dd")).split("/")[0]);
    const before = await newest();
    await page.waitForFunction(
      (epoch) => parseInt(document.querySelector(".tile:last-child dd")?.textContent ?? "") > epoch + 1,
      before,
    );
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Stop it" }).click();
    expect(await ended).toEqual([130, null]);
    expect(stderr).toContain("stopped from the studio: the finished epochs are in");
    expect(stderr).toContain(`kofn train --resume --out ${out}`);
    await page.locator(".run-head .badge.stopped").waitFor();
    await page.getByText("No process trains this run").waitFor();
    expect(await page.getByRole("button", { name: "Stop" }).count()).toBe(0);
    for (const name of ["running.json", "stop.request"]) expect(existsSync(join(out, name))).toBe(false);
    expect(complaints).toEqual([]);
  });

  test("draws epochs as they come", async () => {
    const shape = { epochs: 30, layers: 2 };
    await makeRun(join(root, "a"), { ...shape, epochs: 5, finished: false });
    await open();
    await openRun("a");
    await page.locator(".thumbnails[data-epoch='4']").waitFor();
    await appendFile(join(root, "a", "heatmaps.bin"), heatmapRecord(6, shape));
    const line = metricsLine(6, shape);
    await appendFile(join(root, "a", "metrics.jsonl"), line.slice(0, 50));
    await appendFile(join(root, "a", "metrics.jsonl"), `${line.slice(50)}\n`);
    await page.locator(".thumbnails[data-epoch='5']").waitFor();
    await page.getByText("Epoch 6 of 6").waitFor();
    // Who looks at an epoch stays there.
    await page.getByRole("slider").fill("1");
    await appendFile(join(root, "a", "heatmaps.bin"), heatmapRecord(7, shape));
    await appendFile(join(root, "a", "metrics.jsonl"), `${metricsLine(7, shape)}\n`);
    await page.getByText("Epoch 2 of 7").waitFor();
    await appendFile(join(root, "a", "metrics.jsonl"), "damaged\n");
    await page.getByText("line 8: damaged, left out").waitFor();
    expect(complaints).toEqual([]);
  });

  test("comes back when the server does, and says so", async () => {
    await makeRun(join(root, "a"));
    await open();
    await openRun("a");
    await page.locator(".plot canvas").first().waitFor();
    await studio.close();
    await page.getByText("The connection to the studio is lost").waitFor();
    await makeRun(join(root, "b"));
    studio = await studioOf(root, { port: studio.port });
    await page.getByText("Connected again: the studio was started anew.").waitFor();
    await page.locator(".connection.open").waitFor();
    await page.locator("h1", { hasText: "a" }).waitFor();
    await page.getByRole("link", { name: "Runs" }).click();
    await rows().nth(1).waitFor();
    // The browser itself complains of a server that is not there.
    expect(complaints.filter((text) => !text.includes("net::ERR_"))).toEqual([]);
  });

  test("says when a run, or the folder, is deleted while it is shown", async () => {
    await makeRun(join(root, "a"));
    await makeRun(join(root, "b"));
    await open();
    await openRun("a");
    await page.locator(".plot canvas").first().waitFor();
    await rm(join(root, "a"), { recursive: true });
    await page.getByText("This run is gone").waitFor();
    await page.getByRole("link", { name: "All runs" }).click();
    await rows().first().waitFor();
    expect(await columnOf(2)).toEqual(["b"]);
    await rm(root, { recursive: true });
    await page.getByRole("alert").getByText("The folder is gone.").waitFor();
    expect(complaints).toEqual([]);
  });

  test("without the token says where it is", async () => {
    await makeRun(join(root, "a"));
    studio = await studioOf(root);
    await page.goto(new URL(studio.url).origin);
    await page.getByText("Open the address that kofn studio has printed").waitFor();
    expect(await rows().count()).toBe(0);
  });

  test.each(["light", "dark"] as const)(
    "has no serious flaws for assistive technology, %s",
    async (colorScheme) => {
      await makeRun(join(root, "a"), { seed: 1 });
      await makeRun(join(root, "b"), { seed: 2 });
      await makeRun(join(root, "c"), { finished: false });
      await appendFile(join(root, "c", "metrics.jsonl"), "damaged\n");
      await page.emulateMedia({ colorScheme });
      await open();
      await rows().nth(2).waitFor();
      await checkWithAxe();
      await page.setViewportSize({ width: 380, height: 800 });
      await checkWithAxe();
      await page.setViewportSize({ width: 1200, height: 800 });
      for (const name of ["a", "b"]) await page.getByRole("checkbox", { name: `Compare ${name}` }).check();
      for (const run of ["a", "c"]) {
        await openRun(run);
        await page.locator(".plot canvas").nth(2).waitFor();
        await page.getByRole("button", { name: /^Mask of fc1/ }).click();
        await page.getByRole("img", { name: /^Mask metrics/ }).waitFor();
        await page.getByText("Settings", { exact: true }).click();
        await page.getByText("Epochs as a table").click();
        await checkWithAxe();
        await page.getByRole("link", { name: "Runs", exact: true }).click();
      }
      await page.getByRole("link", { name: "Compare (2)" }).click();
      await page.locator(".plot canvas").nth(3).waitFor();
      await checkWithAxe();
      await page.getByRole("link", { name: "Trade-offs" }).click();
      await page.locator("circle").first().waitFor();
      await checkWithAxe();
      expect(complaints).toEqual([]);
    },
  );

  /** The browser's debugger runs axe, which the page's content security policy would not let in. */
  async function checkWithAxe(): Promise<void> {
    const results = await page.evaluate<AxeResults>(`${AXE}; window.axe.run()`);
    const serious = results.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
  }
});
