/** The built package in Chromium: the networks of zoo.test.ts that are small, on a page and in a worker. */

import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
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
    server = createServer(({ url = "/" }, response) => {
      const path = decodeURIComponent(url.slice(1));
      const found = cases.get(path.replace(/\.\w+$/, ""));
      if (path === "")
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
      worker.postMessage(${JSON.stringify(encodeURIComponent(name))});
    })`);
    expect(largestError(Float32Array.from(results as number[]), one.expected)).toBeLessThan(TOLERANCE);
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
  onmessage = async ({ data }) => {
    const net = await load("/" + data + ".kofn");
    const input = await (await fetch("/" + data + ".input")).arrayBuffer();
    postMessage(net.run(new Float32Array(input)));
  };
`;
