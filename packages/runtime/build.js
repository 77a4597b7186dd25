/**
 * Compiles the kernels, writes them as a text into src/wasm.generated.ts, so that the package has no file to be found at run time, does
 * the same with what threads run, and bundles the package into one small file. Types are tsc's part.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { assemble, bundle, callOf, exportsOf, writeModule } from "../../build/generate.js";

// With s, functions that are called within loops are not copied into them; the loops of convolutions and layers are the same.
const OPTIONS =
  "-O3s --runtime stub --enable simd --enable nontrapping-f2i --noAssert --initialMemory 1 --disableWarning 112";

/** @type {import("esbuild").BuildOptions} */
const SMALL = {
  bundle: true,
  minify: true,
  platform: "neutral",
  target: "es2023",
  // The source, not a build of it that may be old.
  alias: { "@kofn/format": fileURLToPath(new URL("../format/src", import.meta.url)) },
};

const folder = fileURLToPath(new URL(".", import.meta.url));

const { wasm, program } = await assemble(join(folder, "assembly/runtime.ts"), OPTIONS);
writeModule(
  join(folder, "src/wasm.generated.ts"),
  `/** The kernels of assembly/, compiled by build.js. */

export interface Kernels {
  readonly memory: WebAssembly.Memory;
${exportsOf(program, "runtime").map(callOf).join("")}}

export const WASM = ${JSON.stringify(printable(wasm))};
`,
);

// Threads get a text, too, so that no bundler has to find a file for them.
const worker = await bundle({
  ...SMALL,
  entryPoints: [join(folder, "src/threads/worker.ts")],
  format: "iife",
});
writeModule(
  join(folder, "src/worker.generated.ts"),
  `/** src/threads/worker.ts, compiled by build.js. */\n\nexport const WORKER = ${JSON.stringify(worker)};\n`,
);

await build({
  ...SMALL,
  entryPoints: [join(folder, "src/index.ts")],
  outfile: join(folder, "dist/index.js"),
  format: "esm",
  sourcemap: "linked",
});

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
