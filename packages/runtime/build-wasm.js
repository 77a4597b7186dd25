/** Compiles the kernels and writes them as a text into src/wasm.generated.ts, so that the package has no file to be found at run time. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

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
  const text = readFileSync(file).toString("base64");
  writeFileSync(
    join(folder, "src/wasm.generated.ts"),
    `/** The kernels of assembly/, compiled by build-wasm.js. */\n\nexport const WASM = "${text}";\n`,
  );
} finally {
  rmSync(temporary, { recursive: true });
}
