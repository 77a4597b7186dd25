/** The demo in Chromium, as its command trains, packs and serves it: digits drawn by mouse and finger, figures, masks. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { lenet5 } from "../../../packages/kofn/src/models/lenet.js";
import { decodeSafetensors } from "../../../packages/kofn/src/onnx/safetensors.js";
import { encodeKofn } from "../../../packages/kofn/src/pack/file.js";
import { weights } from "../../../packages/kofn/src/prune/spec.js";
import { prunedBy } from "../../../packages/runtime/test/support/cases.js";
import { tinyFile } from "../../../packages/runtime/test/support/package.js";
import { hasChromium, launchChromium } from "../../../packages/studio/test/support/chromium.js";
import type { FirstLayer } from "../page/first-layer.js";
import { serve } from "../serve.js";

const DEMO = fileURLToPath(new URL("../demo.js", import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const K = 16;
const UNITS = 300;

/** Strokes as points in hundredths of the sheet. */
const ONE = [[50, 15, 50, 85]];
const ZERO = [[50, 12, 36, 20, 28, 50, 36, 80, 50, 88, 64, 80, 72, 50, 64, 20, 50, 12]];

describe.skipIf(!hasChromium())("the demo", { timeout: 120_000 }, () => {
  let folder: string;
  let demo: ChildProcess;
  let address: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "kofn-demo-"));
    demo = spawn(process.execPath, [DEMO], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    address = await new Promise((resolve, reject) => {
      let printed = "";
      for (const stream of [demo.stdout, demo.stderr]) {
        stream?.on("data", (text: Buffer) => {
          printed += text.toString();
          const [found] = /http:\S+/.exec(printed) ?? [];
          if (found !== undefined) resolve(found);
        });
      }
      demo.once("close", (code) => {
        reject(new Error(`the demo ended with code ${String(code)}: ${printed}`));
      });
    });
    browser = await launchChromium();
  }, 600_000);

  afterAll(async () => {
    await browser.close();
    demo.kill();
    await once(demo, "close");
    rmSync(folder, { recursive: true });
  });

  beforeEach(async () => {
    context = await browser.newContext({ colorScheme: "light", hasTouch: true });
    page = await context.newPage();
    complaints = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(address);
    await page.locator("#classes li").nth(9).waitFor();
  });

  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  const textOf = (id: string): Promise<string> => page.locator(`#${id}`).innerText();
  const fractions = (): Promise<number[]> =>
    page
      .locator(".bar span")
      .evaluateAll((bars) => bars.map((bar) => parseFloat((bar as HTMLElement).style.width) / 100));

  /** Points of a stroke in the page. */
  async function placesOf(stroke: readonly number[]): Promise<{ x: number; y: number }[]> {
    const box = await page.locator("#pad").boundingBox();
    if (box === null) throw new Error("the page shows no sheet");
    return Array.from({ length: stroke.length / 2 }, (_, i) => ({
      x: box.x + (box.width * stroke[2 * i]) / 100,
      y: box.y + (box.height * stroke[2 * i + 1]) / 100,
    }));
  }

  /** @param whileDown is called before the pen is lifted from the last stroke */
  async function draw(
    strokes: readonly (readonly number[])[],
    whileDown?: () => Promise<void>,
  ): Promise<void> {
    for (const stroke of strokes) {
      const [{ x, y }, ...rest] = await placesOf(stroke);
      await page.mouse.move(x, y);
      await page.mouse.down();
      for (const to of rest) await page.mouse.move(to.x, to.y, { steps: 5 });
      if (stroke === strokes.at(-1)) await whileDown?.();
      await page.mouse.up();
    }
  }

  /** How many pixels of a canvas have a colour of the page. */
  const countOf = (id: string, colour: string): Promise<number> =>
    page.locator(`#${id}`).evaluate((element, name) => {
      const canvas = element as HTMLCanvasElement;
      // In a copy, since reading a canvas slows it down.
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {
        willReadFrequently: true,
      });
      copy?.drawImage(canvas, 0, 0);
      const all = copy?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      let count = 0;
      for (let i = 0; i < all.length; i += 4)
        if (all[i + 3] === 255 && wanted.every((value, c) => all[i + c] === value)) count++;
      return count;
    }, colour);

  test("reads a 1 and a 0 while they are drawn, and nothing once they are cleared", async () => {
    expect([await textOf("digit"), await textOf("latency")]).toEqual(["–", "–"]);
    await draw(ONE, async () => {
      expect(await textOf("digit")).toBe("1");
      expect(await textOf("said")).toBe("Nothing is drawn.");
    });
    expect(await textOf("said")).toMatch(/^The network reads 1, .* sure\.$/);
    const shares = await fractions();
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 4);
    expect(Math.max(...shares)).toBe(shares[1]);
    expect(await countOf("pad", "--ink")).toBeGreaterThan(1000);

    await page.getByRole("button", { name: "Clear" }).click();
    expect(await textOf("digit")).toBe("–");
    expect(await countOf("pad", "--ink")).toBe(0);
    expect(await page.getByText("Draw here").isVisible()).toBe(true);

    await draw(ZERO);
    expect(await textOf("digit")).toBe("0");
    expect(await page.getByText("Draw here").isVisible()).toBe(false);
  });

  test("reads a 1 that a finger draws, without scrolling", async () => {
    const session = await context.newCDPSession(page);
    const [from, to] = await placesOf(ONE[0]);
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", points: { x: number; y: number }[]) =>
      session.send("Input.dispatchTouchEvent", { type, touchPoints: points });
    await touch("touchStart", [from]);
    for (let step = 1; step <= 6; step++)
      await touch("touchMove", [{ x: to.x, y: from.y + ((to.y - from.y) * step) / 6 }]);
    await touch("touchEnd", []);
    await page.getByText("1", { exact: true }).first().waitFor();
    expect(await textOf("digit")).toBe("1");
    expect(await page.evaluate(() => scrollY)).toBe(0);
  });

  test("draws digits by itself, by the keyboard, and reads them", async () => {
    const example = page.getByRole("button", { name: "Draw one for me" });
    const read: string[] = [];
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    expect(await example.evaluate((button) => button.matches(":focus-visible"))).toBe(true);
    expect(await example.evaluate((button) => getComputedStyle(button).outlineStyle)).toBe("solid");
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press("Enter");
      read.push(await textOf("digit"));
    }
    const right = read.filter((digit, i) => digit === "7204195638"[i]);
    expect(right.length, read.join("")).toBeGreaterThanOrEqual(9);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Space");
    expect(await textOf("digit")).toBe("–");
  });

  test("says how large the file is, how long an answer takes, and what k of n means", async () => {
    const bytes = (await (await fetch(`${address}model.kofn`)).arrayBuffer()).byteLength;
    expect(bytes).toBeLessThan(13_000);
    expect(await textOf("size")).toBe(`${(bytes / 1000).toFixed(1)} kB`);
    expect(await textOf("explanation")).toContain(
      "Instead of all 784 pixels, each of the 300 neurons that look at your drawing sees exactly 16,",
    );
    expect(await textOf("connections")).toBe("7,400");
    expect(await textOf("connections-note")).toContain("of 266,200: 3 %");
    await draw(ONE);
    const latency = await textOf("latency");
    expect(latency).toMatch(/^\d+(\.\d+)? ms$/);
    expect(parseFloat(latency)).toBeGreaterThan(0);
    expect(await textOf("latency-note")).toMatch(/median of \d+ measurements/);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  });

  test("shows the masks of the run", async () => {
    const layer = (await (await fetch(`${address}first-layer.json`)).json()) as FirstLayer;
    const masks = decodeSafetensors(readFileSync(join(folder, "runs/digits/masks.safetensors")), "masks");
    const mask = masks.get("fc1.weight")?.numbers() ?? [];
    const places = Array.from({ length: UNITS }, (_, unit) =>
      mask.slice(784 * unit, 784 * (unit + 1)).flatMap((bit, place) => (bit === 1 ? [place] : [])),
    );
    expect(layer.kept).toEqual(places);
    expect(places.every(({ length }) => length === K)).toBe(true);

    const cell = 12 * 12;
    const shown = async (): Promise<number[]> =>
      Promise.all(["--accent", "--against"].map(async (name) => (await countOf("unit", name)) / cell));
    const expected = (unit: number): number[] => {
      const against = layer.signs[unit].filter((sign) => sign < 0).length;
      return [K - against, against];
    };
    expect(await shown()).toEqual(expected(0));
    await page.getByRole("slider", { name: "Neuron 1" }).focus();
    await page.keyboard.press("ArrowRight");
    expect(await textOf("unit-note")).toBe("Neuron 2 sees these 16 of 784 pixels and nothing else.");
    expect(await shown()).toEqual(expected(1));
    const all = page.locator("#units");
    const box = await all.boundingBox();
    await all.hover({ position: { x: (box?.width ?? 0) - 8, y: (box?.height ?? 0) - 8 } });
    expect(await textOf("choice-label")).toBe("Neuron 300");
    expect(await shown()).toEqual(expected(299));

    const usage = Array.from(
      { length: 784 },
      (_, place) => places.filter((one) => one.includes(place)).length,
    );
    const most = Math.max(...usage);
    expect(await textOf("most")).toBe(`${most} neurons`);
    expect(await countOf("usage", "--accent")).toBe(usage.filter((count) => count === most).length * cell);
    await page.locator("#usage").hover();
    const [, row, column, count] =
      /Row (\d+), column (\d+): used by (\d+) of 300/.exec(await textOf("usage-note")) ?? [];
    expect(Number(count)).toBe(usage[28 * (Number(row) - 1) + Number(column) - 1]);
  });

  test.each(["light", "dark"] as const)("has no flaws for assistive technology, %s", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    for (const width of [1200, 380]) {
      await page.setViewportSize({ width, height: 800 });
      await draw(ZERO);
      const { violations } = await page.evaluate<AxeResults>(`${AXE}; window.axe.run()`);
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual(
        [],
      );
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    }
  });

  test("says so if the network can't be loaded", async () => {
    await page.route("**/model.kofn", (route) => route.fulfill({ status: 200, body: "no network" }));
    await page.reload();
    await page.getByRole("alert").getByText("expected a .kofn file, found 10 bytes").waitFor();
  });

  test("shows filters of a network that begins with a convolution", async () => {
    const spec = { conv1: weights({ k: 7 }), fc1: weights({ k: 10 }) };
    const model = lenet5();
    model.metadata.set("kofn.input.mean", "[0.25]").set("kofn.input.std", "[0.5]");
    const { url, close } = await serve(encodeKofn(prunedBy(model, spec)).bytes, "lenet-5");
    await page.goto(url);
    await page.getByText("each of the 20 filters that look at your drawing sees exactly 7,").waitFor();
    expect((await countOf("unit", "--accent")) + (await countOf("unit", "--against"))).toBe(7 * 12 * 12);
    await draw(ONE);
    expect(await textOf("digit")).toMatch(/^(zero|one|two|three|four|five|six|seven|eight|nine)$/);
    await page.goto("about:blank");
    close();
  });

  test("refuses a network that reads no digits", async () => {
    const path = join(folder, "tiny.kofn");
    writeFileSync(path, (await tinyFile()).file);
    expect(statSync(path).size).toBeGreaterThan(0);
    const child = spawn(process.execPath, [DEMO, "--run", path], { cwd: folder });
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said += text.toString()));
    const [code] = (await once(child, "close")) as [number];
    expect(code).toBe(2);
    expect(said).toContain(
      `error: ${path}: expected a network that reads grey images of 28x28, as MNIST's, knows their normalisation and tells ten classes apart, got one from [1, 1, 8, 8]`,
    );
  });
});
