/** The built package in Chromium: the networks of zoo.test.ts that are small, on a page and in a worker. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Case, caseNames, caseOf, largestError, TOLERANCE } from "./support/cases.js";
import { packagePath } from "./support/package.js";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const LARGE = /^(vgg|resnet-(18|32|50|56))/;

const isThere = existsSync(CHROMIUM);
if (!isThere) {
  const what = `${CHROMIUM} is absent (apt-get install chromium): the tests in a browser are skipped`;
  if (process.env.KOFN_NO_SKIP === "1") throw new Error(`KOFN_NO_SKIP=1, but ${what}`);
  process.stderr.write(`SKIPPED: ${what}\n`);
}

describe.skipIf(!isThere)("in Chromium", () => {
  const cases = new Map<string, Case>();
  let server: Server;
  let browser: Browser;
  let page: Page;
  let address: string;

  beforeAll(async () => {
    const bundles = new Map([
      ["esbuild.js", await bundledByEsbuild()],
      ["vite.js", await bundledByVite()],
    ]);
    server = createServer(({ url = "/" }, response) => {
      const path = decodeURIComponent(url.slice(1));
      const bundle = bundles.get(path);
      if (path !== "shared") {
        response.setHeader("cross-origin-opener-policy", "same-origin");
        response.setHeader("cross-origin-embedder-policy", "require-corp");
      }
      const found = cases.get(path.replace(/\.\w+$/, ""));
      if (bundle !== undefined) response.setHeader("content-type", "text/javascript").end(bundle);
      else if (path === "" || path === "shared")
        response.setHeader("content-type", "text/html").end("<!doctype html><title>kofn</title>");
      else if (path === "worker.js") response.setHeader("content-type", "text/javascript").end(WORKER);
      else if (found !== undefined && path.endsWith(".kofn")) response.end(found.file);
      else if (found !== undefined) response.end(new Uint8Array(found.input.buffer));
      else if (path.startsWith("dist/") && path.endsWith(".js"))
        response.setHeader("content-type", "text/javascript").end(readFileSync(join(packagePath, path)));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    page = await browser.newPage();
    await page.goto(address);
  }, 300_000);

  afterAll(async () => {
    await browser.close();
    server.close();
  });

  it.each(caseNames().filter((name) => !LARGE.test(name)))("%s", { timeout: 300_000 }, async (name) => {
    const one = await caseOf(name, name.startsWith("lenet") ? 41 : 1);
    cases.set(name, one);
    const results = await page.evaluate(`(async () => {
      const { load } = await import("/dist/index.js");
      const path = encodeURIComponent(${JSON.stringify(name)});
      const net = await load(path + ".kofn");
      const input = await (await fetch(path + ".input")).arrayBuffer();
      return [...net.run(new Float32Array(input))];
    })()`);
    expect(largestError(Float32Array.from(results as number[]), one.expected)).toBeLessThan(TOLERANCE);
  });

  it("runs in a worker", { timeout: 300_000 }, async () => {
    const name = "lenet-5: weights 10 %";
    const one = await caseOf(name, 3);
    cases.set(name, one);
    const results = await page.evaluate(`new Promise((resolve, reject) => {
      const worker = new Worker("/worker.js", { type: "module" });
      worker.onmessage = ({ data }) => resolve([...data]);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ path: ${JSON.stringify(encodeURIComponent(name))}, threads: 1 });
    })`);
    expect(largestError(Float32Array.from(results as number[]), one.expected)).toBeLessThan(TOLERANCE);
  });

  describe("on two threads", () => {
    const name = "lenet-5: weights 60 %";

    beforeAll(async () => {
      cases.set(name, await caseOf(name, 41));
    });

    /** Runs `run`, an expression with what loads and runs the case, on the page. */
    async function expectResults(run: string): Promise<void> {
      const results = await page.evaluate(`(async () => {
        const path = encodeURIComponent(${JSON.stringify(name)});
        const input = new Float32Array(await (await fetch(path + ".input")).arrayBuffer());
        const file = new Uint8Array(await (await fetch(path + ".kofn")).arrayBuffer());
        return [...(await (${run})(file, input))];
      })()`);
      const { expected } = cases.get(name) ?? expect.fail();
      expect(largestError(Float32Array.from(results as number[]), expected)).toBeLessThan(TOLERANCE);
    }

    it("runs on a page's main thread", { timeout: 300_000 }, async () => {
      await expectResults(`async (file, input) => {
        const net = await (await import("/dist/index.js")).load(file, { threads: 2 });
        net.run(input);
        const results = net.run(input);
        net.close();
        return results;
      }`);
    });

    it("runs in a worker", { timeout: 300_000 }, async () => {
      await expectResults(`(file, input) => new Promise((resolve, reject) => {
        const worker = new Worker("/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage({ path: encodeURIComponent(${JSON.stringify(name)}), threads: 2 });
      })`);
    });

    it.each(["esbuild.js", "vite.js"])("runs in the bundle %s", { timeout: 300_000 }, async (bundle) => {
      await expectResults(`async (file, input) => {
        await import("/${bundle}");
        return globalThis.runOnTwo(file, input);
      }`);
    });

    it("names the headers that are missing", { timeout: 300_000 }, async () => {
      const other = await browser.newPage();
      await other.goto(`${address}/shared`);
      const message = await other.evaluate(`(async () => {
        const { load } = await import("/dist/index.js");
        const file = await (await fetch(encodeURIComponent(${JSON.stringify(name)}) + ".kofn")).arrayBuffer();
        return load(file, { threads: 2 }).then(() => "", ({ name, message }) => name + ": " + message);
      })()`);
      await other.close();
      expect(message).toMatch(/^NetworkError: threads need .*"Cross-Origin-Opener-Policy: same-origin"/);
      expect(message).toContain('"Cross-Origin-Embedder-Policy: require-corp"');
    });
  });

  it("says what is missing", { timeout: 300_000 }, async () => {
    const message = await page.evaluate(`import("/dist/index.js")
      .then(({ load }) => load("none.kofn"))
      .then(() => "", ({ name, message }) => name + ": " + message)`);
    expect(message).toContain("NetworkError: none.kofn: can't be read: the server answers 404");
  });
});

const WORKER = `
  import { load } from "/dist/index.js";
  onmessage = async ({ data: { path, threads } }) => {
    const net = await load("/" + path + ".kofn", { threads });
    const input = await (await fetch("/" + path + ".input")).arrayBuffer();
    postMessage(net.run(new Float32Array(input)));
  };
`;

const APP = `
  import { load } from ${JSON.stringify(join(packagePath, "dist/index.js"))};
  globalThis.runOnTwo = async (file, input) => (await load(file, { threads: 2 })).run(input);
`;

async function bundledByEsbuild(): Promise<string> {
  const { outputFiles } = await esbuild({
    stdin: { contents: APP, resolveDir: packagePath },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  return outputFiles[0].text;
}

async function bundledByVite(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "kofn-vite-"));
  try {
    writeFileSync(join(folder, "app.js"), APP);
    writeFileSync(join(folder, "index.html"), '<script type="module" src="./app.js"></script>');
    const build = { write: false, modulePreload: false } as const;
    const result = await vite({ root: folder, logLevel: "silent", build });
    const outputs = Array.isArray(result)
      ? result.flatMap(({ output }) => output)
      : "output" in result
        ? result.output
        : [];
    const chunk = outputs.find((output) => output.type === "chunk");
    return chunk?.code ?? expect.fail("vite made no script");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
