/**
 * Writes what of src/host is made of other sources: wasm.generated.ts, the kernels of assembly/ as texts, with declarations of how they
 * are called, and worker.generated.ts, what threads run. Kernels are compiled if their sources are others than last time.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  assemble,
  bundle,
  callOf,
  exportsOf,
  readIfThere,
  typeOf,
  writeModule,
} from "../../build/generate.js";

const OPTIONS =
  "-O3 --runtime stub --enable simd --enable nontrapping-f2i --noAssert --importMemory --initialMemory 1 --disableWarning 235";
/** With as many pages as 32 bits address. */
const SHARED = "--sharedMemory --enable threads --maximumMemory 65536";

const folder = fileURLToPath(new URL(".", import.meta.url));
const assembly = join(folder, "assembly");
const host = join(folder, "src/host");

const abi = identify();
const path = join(host, "wasm.generated.ts");
if (!readIfThere(path)?.includes(`ABI = ${abi};`)) writeModule(path, await kernels());

const worker = await bundle({
  entryPoints: [join(host, "worker.ts")],
  format: "cjs",
  platform: "node",
  target: "node20",
});
writeModule(
  join(host, "worker.generated.ts"),
  `/** worker.ts and what it imports, as one script, by build.js. */\n\nexport const WORKER = ${JSON.stringify(worker)};\n`,
);

/** A number of 31 bits, another one for other sources, another compiler or other scripts. */
function identify() {
  const { version } = createRequire(import.meta.url)("assemblyscript/package.json");
  const sources = readdirSync(assembly)
    .sort()
    .map((name) => `${name}\n${readFileSync(join(assembly, name), "utf8")}`);
  const scripts = ["build.js", "../../build/generate.js"].map((name) =>
    readFileSync(join(folder, name), "utf8"),
  );
  const hash = createHash("sha256").update([version, ...scripts, ...sources].join("\n"));
  return hash.digest().readUInt32LE() >>> 1;
}

/** The text of wasm.generated.ts. */
async function kernels() {
  const entry = join(assembly, "host.ts");
  const options = `${OPTIONS} --use KOFN_ABI=${abi}`;
  const { wasm, program } = await assemble(entry, options);
  const { wasm: shared } = await assemble(entry, `${options} ${SHARED}`);
  const module = new WebAssembly.Module(wasm);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const [functions, structures] = [exportsOf(program, "host"), exportsOf(program, "structures")];
  return `/** The kernels of assembly/, compiled by build.js, and how they are called. */

/** Identifies the sources that these kernels and declarations are made of. */
export const ABI = ${abi};

/** The first byte of their memory that is the caller's. */
export const BASE = ${exports.base()};

/** In base64. */
export const WASM = "${Buffer.from(wasm).toString("base64")}";

/** In base64; for memory that threads share. */
export const SHARED_WASM = "${Buffer.from(shared).toString("base64")}";

/** Where a structure lies. */
export type Address<Name extends string> = number & { readonly structure: Name };

export interface Kernels {
  readonly abi: WebAssembly.Global;
${functions.map(callOf).join("")}}

/** What is written in structures. */
export interface Structures {
${structures.map(valuesOf).join("")}}

/** Bytes of structures, and where in them and as what their fields lie. */
export const STRUCTURES = {
${structures.map(layoutOf).join("")}} as const;
`;
}

function valuesOf(structure) {
  const fields = fieldsOf(structure).map(({ name, type }) => `    readonly ${name}: ${typeOf(type)};\n`);
  return `  readonly ${structure.name}: {\n${fields.join("")}  };\n`;
}

function layoutOf(structure) {
  const fields = fieldsOf(structure).map(
    ({ name, type, memoryOffset }) =>
      `      ${name}: [${memoryOffset}, "${type.classReference ? "usize" : type}"],\n`,
  );
  return `  ${structure.name}: {\n    bytes: ${structure.nextMemoryOffset},\n    fields: {\n${fields.join("")}    },\n  },\n`;
}

/** Those of a structure, in their order. */
function fieldsOf({ members }) {
  return [...members.values()].map(({ instance }) => instance);
}
