/** Batches on two threads in Chromium: on a page, in a worker, from bundles, and without the headers that threads need. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { beforeAll, describe, expect, test } from "vitest";
import { type Case, caseOf, largestError, TOLERANCE } from "../support/cases.js";
import { chromiumOfFile } from "../support/hosts.js";
import { packagePath } from "../support/package.js";

const APP = `
  import { load } from ${JSON.stringify(join(packagePath, "dist/index.js"))};
  globalThis.runOnTwo = async (file, input) => (await load(file, { threads: 2 })).run(input);
`;

/** What APP defines. */
interface AppGlobals {
  readonly runOnTwo: (file: Uint8Array, input: Float32Array) => Promise<Float32Array>;
}

const page = chromiumOfFile();
const shared = chromiumOfFile(false);

describe.skipIf(!page.isThere)("on two threads in Chromium", { timeout: 300_000 }, () => {
  let one: Case;

  beforeAll(async () => {
    one = await caseOf("lenet-5: weights 60 %", 41);
  });

  test("runs on a page's main thread", async () => {
    const results = await page.call(async ({ load }, { file, input }) => {
      const net = await load(file, { threads: 2 });
      net.run(input);
      const second = net.run(input);
      net.close();
      return second;
    }, one);
    expect(largestError(results, one.expected)).toBeLessThan(TOLERANCE);
  });

  test("runs in a worker", async () => {
    const results = await page.call(
      (_, { file, input }) =>
        new Promise<Float32Array>((resolve, reject) => {
          const script = `
            import { load } from "${location.origin}/dist/index.js";
            onmessage = async ({ data: { file, input } }) => postMessage((await load(file, { threads: 2 })).run(input));
          `;
          const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
          const worker = new Worker(url, { type: "module" });
          worker.onmessage = ({ data }) => {
            resolve(data as Float32Array);
          };
          worker.onerror = ({ message }) => {
            reject(new Error(message));
          };
          worker.postMessage({ file, input });
        }),
      one,
    );
    expect(largestError(results, one.expected)).toBeLessThan(TOLERANCE);
  });

  test.each([
    ["esbuild", bundledByEsbuild],
    ["vite", bundledByVite],
  ])("runs in a bundle of %s", async (_, bundled) => {
    const results = await page.call(
      async (_, { bundle, file, input }) => {
        const script = document.createElement("script");
        script.type = "module";
        script.src = URL.createObjectURL(new Blob([bundle], { type: "text/javascript" }));
        await new Promise((resolve) => {
          script.onload = resolve;
          document.head.append(script);
        });
        return (globalThis as unknown as AppGlobals).runOnTwo(file, input);
      },
      { bundle: await bundled(), ...one },
    );
    expect(largestError(results, one.expected)).toBeLessThan(TOLERANCE);
  });

  test("names the headers that are missing", async () => {
    const message = await shared.call(async ({ load }, { file }) => {
      try {
        await load(file, { threads: 2 });
        return "";
      } catch (error) {
        return String(error);
      }
    }, one);
    expect(message).toMatch(/^NetworkError: threads need .*"Cross-Origin-Opener-Policy: same-origin"/);
    expect(message).toContain('"Cross-Origin-Embedder-Policy: require-corp"');
  });
});

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
