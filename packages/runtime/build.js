/**
 * Compiles the kernels, writes them as a text into src/wasm.generated.ts, so that the package has no file to be found at run time, and
 * bundles the package into one small file. Types are tsc's part.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const OPTIONS =
  "-O3 --runtime stub --enable simd --enable nontrapping-f2i --noAssert --initialMemory 1 --disableWarning 112".split(
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
  // Two digits a byte: gzipped, that takes less than base64, which hides from gzip what repeats.
  const text = readFileSync(file).toString("hex");
  writeFileSync(
    join(folder, "src/wasm.generated.ts"),
    `/** The kernels of assembly/, compiled by build.js. */\n\nexport const WASM = "${text}";\n`,
  );
} finally {
  rmSync(temporary, { recursive: true });
}

await build({
  entryPoints: [join(folder, "src/index.ts")],
  outfile: join(folder, "dist/index.js"),
  bundle: true,
  minify: true,
  format: "esm",
  platform: "neutral",
  target: "es2023",
  sourcemap: "linked",
});
