/**
 * Compiles the kernels, writes them as a text into src/wasm.generated.ts, so that the package has no file to be found at run time, does
 * the same with what threads run, and bundles the package into one small file. Types are tsc's part.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

// With s, functions that are called within loops are not copied into them; the loops of convolutions and layers are the same.
const OPTIONS =
  "-O3s --runtime stub --enable simd --enable nontrapping-f2i --noAssert --initialMemory 1 --disableWarning 112 --bindings raw".split(
    " ",
  );

const folder = fileURLToPath(new URL(".", import.meta.url));
const asc = join(
  dirname(createRequire(import.meta.url).resolve("assemblyscript/package.json")),
  "bin/asc.js",
);
const temporary = mkdtempSync(join(tmpdir(), "kofn-"));
try {
  const file = join(temporary, "runtime.wasm");
  execFileSync(process.execPath, [asc, join(folder, "assembly/runtime.ts"), "-o", file, ...OPTIONS], {
    stdio: "inherit",
  });
  const text = printable(readFileSync(file));
  const declared = readFileSync(join(temporary, "runtime.d.ts"), "utf8");
  writeFileSync(
    join(folder, "src/wasm.generated.ts"),
    `/** The kernels of assembly/, compiled by build.js. */\n\n${interfaceOf(declared)}\nexport const WASM = ${JSON.stringify(text)};\n`,
  );
} finally {
  rmSync(temporary, { recursive: true });
}

/**
 * The kernels with their parameters' names, from what the compiler declares.
 *
 * @param {string} declared
 */
function interfaceOf(declared) {
  const functions = [...declared.matchAll(/export function (\w+)(\(.*\)): (\w+);/g)].map(
    ([, name, parameters, result]) => `  readonly ${name}: ${parameters} => ${result};\n`,
  );
  return `export interface Kernels {\n  readonly memory: WebAssembly.Memory;\n${functions.join("")}}\n`;
}

/**
 * Bytes as characters that need no escape, as src/kernels.ts reads them: most bytes are one, the others two. Gzipped, that takes a tenth
 * less than two digits for each byte, and a quarter less than base64, which hides from gzip what repeats.
 *
 * @param {Uint8Array} bytes
 */
function printable(bytes) {
  /** @param {number} place */
  const character = (place) => String.fromCharCode(place + (place < 57 ? 35 : 36));
  return Array.from(bytes, (byte) => {
    const turned = (byte + 3) % 256;
    const rest = turned - 89;
    return rest < 0 ? character(turned) : character(89 + Math.floor(rest / 85)) + character(rest % 85);
  }).join("");
}

/** @type {import("esbuild").BuildOptions} */
const SMALL = {
  bundle: true,
  minify: true,
  platform: "neutral",
  target: "es2023",
  // The source, not a build of it that may be old.
  alias: { "@kofn/format": join(folder, "../format/src") },
};

// Threads get a text, too, so that no bundler has to find a file for them.
const entry = join(folder, "src/threads/worker.ts");
const { outputFiles } = await build({ ...SMALL, entryPoints: [entry], format: "iife", write: false });
writeFileSync(
  join(folder, "src/worker.generated.ts"),
  `/** src/threads/worker.ts, compiled by build.js. */\n\nexport const WORKER = ${JSON.stringify(outputFiles[0].text.trim())};\n`,
);

await build({
  ...SMALL,
  entryPoints: [join(folder, "src/index.ts")],
  outfile: join(folder, "dist/index.js"),
  format: "esm",
  sourcemap: "linked",
});
