/** Where tests run the runtime: in Node, from its sources, and in Chromium, as it is built. */

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { hasChromium, launchChromium } from "../../../studio/test/support/chromium.js";
import * as sources from "../../src/index.js";
import { packagePath } from "./package.js";

type Runtime = typeof sources;

export interface Host {
  readonly name: string;
  /**
   * Calls a function with the runtime's interface and an argument.
   *
   * @param body may use nothing but its parameters and what both hosts have: it travels to the page as a text
   * @param argument of plain objects and typed arrays, as the result
   */
  call<Argument, Result>(
    body: (runtime: Runtime, argument: Argument) => Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
}

export const node: Host = { name: "Node", call: (body, argument) => body(sources, argument) };

/** A page of the package as it is built; it is open while the tests of a file run. */
class Chromium implements Host {
  readonly name = "Chromium";
  readonly isThere = hasChromium();
  readonly #isIsolated: boolean;
  #server: Server | undefined;
  #browser: Browser | undefined;
  #page: Page | undefined;

  /** @param isIsolated whether the page may share memory with its workers */
  constructor(isIsolated: boolean) {
    this.#isIsolated = isIsolated;
  }

  async open(): Promise<void> {
    const server = createServer(({ url = "/" }, response) => {
      if (this.#isIsolated) {
        response.setHeader("cross-origin-opener-policy", "same-origin");
        response.setHeader("cross-origin-embedder-policy", "require-corp");
      }
      if (url === "/") response.setHeader("content-type", "text/html").end(PAGE);
      else if (/^\/dist\/[\w./-]+\.js$/.test(url) && !url.includes(".."))
        response.setHeader("content-type", "text/javascript").end(readFileSync(join(packagePath, url)));
      else response.writeHead(404).end();
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#browser = await launchChromium();
    this.#page = await this.#browser.newPage();
    await this.#page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    this.#server?.close();
  }

  async call<Argument, Result>(
    body: (runtime: Runtime, argument: Argument) => Promise<Result>,
    argument: Argument,
  ): Promise<Result> {
    if (this.#page === undefined) throw new Error("the page is not open");
    const result: unknown = await this.#page.evaluate(
      ([text, given]) => (globalThis as unknown as PageGlobals).call(text, given),
      [body.toString(), argument] as const,
    );
    return result as Result;
  }
}

/** What PAGE defines. */
interface PageGlobals {
  readonly call: (body: string, argument: unknown) => Promise<unknown>;
}

const PAGE = `<!doctype html>
  <title>kofn</title>
  <script type="module">
    import * as runtime from "/dist/index.js";
    globalThis.call = (body, argument) => (0, eval)("(" + body + ")")(runtime, argument);
  </script>`;

/**
 * A page for the tests of a file. Where there is no Chromium, a line on stderr says so.
 *
 * @param isIsolated whether the server isolates it from other origins, without which there are no threads
 */
export function chromiumOfFile(isIsolated = true): Host & { readonly isThere: boolean } {
  const chromium = new Chromium(isIsolated);
  if (chromium.isThere) {
    beforeAll(() => chromium.open(), 120_000);
    afterAll(() => chromium.close());
  }
  return chromium;
}

/** All hosts, for the tests of a file. */
export function hostsOfFile(): readonly Host[] {
  const chromium = chromiumOfFile();
  return chromium.isThere ? [node, chromium] : [node];
}
