/** What a page downloads: the packed package, as bundlers make it, in few bytes and without dependencies. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packagePath, tinyFile } from "./support/package.js";

const MOST_BYTES = 30 * 1024;
const APP = `import { load } from "@kofn/runtime";
globalThis.ran = load(globalThis.source).then((net) => net.run(globalThis.input));
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kofn-bundle-"));
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
      cwd: packagePath,
      encoding: "utf8",
    }),
  ) as { filename: string }[];
  const installed = join(folder, "node_modules/@kofn/runtime");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", installed, "--strip-components=1"]);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  writeFileSync(join(folder, "app.js"), APP);
  writeFileSync(join(folder, "index.html"), '<script type="module" src="./app.js"></script>\n');
}, 120_000);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

test("has no dependencies", () => {
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(
    readFileSync(join(folder, "node_modules/@kofn/runtime/package.json"), "utf8"),
  ) as Record<string, unknown>;
  expect([dependencies, optionalDependencies, peerDependencies]).toEqual([undefined, undefined, undefined]);
});

test("has types that name no package", () => {
  const dist = join(folder, "node_modules/@kofn/runtime/dist");
  const files = execFileSync("find", [dist, "-name", "*.d.ts"], { encoding: "utf8" }).trim().split("\n");
  expect(files.length).toBeGreaterThan(1);
  const named = files.flatMap(
    (path) => readFileSync(path, "utf8").match(/from "[^."][^"]*"|import\("[^."]/g) ?? [],
  );
  expect(named).toEqual([]);
});

test("is bundled by esbuild for browsers, in at most 30 KB with its WebAssembly", async () => {
  const { outputFiles, warnings } = await esbuild({
    entryPoints: [join(folder, "app.js")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  expect(warnings).toEqual([]);
  expect(gzipSync(outputFiles[0].contents, { level: 9 }).length).toBeLessThanOrEqual(MOST_BYTES);
  await expectRuns(outputFiles[0].text);
}, 120_000);

test("is bundled by vite", async () => {
  const result = await vite({
    root: folder,
    logLevel: "silent",
    build: { write: false, modulePreload: false },
  });
  const outputs = Array.isArray(result)
    ? result.flatMap(({ output }) => output)
    : "output" in result
      ? result.output
      : [];
  const script = outputs.find((output) => output.type === "chunk");
  expect(script).toBeDefined();
  await expectRuns(script?.code ?? "");
}, 120_000);

test("is at most 30 KB as it is shipped, too", () => {
  const dist = join(folder, "node_modules/@kofn/runtime/dist");
  const scripts = execFileSync("find", [dist, "-name", "*.js"], { encoding: "utf8" }).trim().split("\n");
  const whole = Buffer.concat(scripts.sort().map((path) => readFileSync(path)));
  expect(gzipSync(whole, { level: 9 }).length).toBeLessThanOrEqual(MOST_BYTES);
});

/** Runs a bundle in a process of its own, on the smallest network there is. */
async function expectRuns(code: string): Promise<void> {
  const { file, input, expected } = await tinyFile();
  writeFileSync(join(folder, "bundle.mjs"), code);
  writeFileSync(join(folder, "model.kofn"), file);
  const script = `
    globalThis.source = ${JSON.stringify(join(folder, "model.kofn"))};
    globalThis.input = Float32Array.from(${JSON.stringify([...input])});
    await import(${JSON.stringify(join(folder, "bundle.mjs"))});
    console.log(JSON.stringify([...(await globalThis.ran)]));
  `;
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  const results = JSON.parse(printed) as number[];
  expect(results).toHaveLength(expected.length);
  results.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i], 4);
  });
}
