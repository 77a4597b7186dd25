/** What the build scripts of packages share: kernels and workers become texts in modules, so that no file has to be found at run time. */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

/**
 * Compiles kernels that are written in AssemblyScript.
 *
 * @param {string} entry
 * @param {string} options of asc
 * @returns {Promise<{ wasm: Uint8Array, program: any }>} with what the compiler knows of the sources
 * @throws Error if the compiler complains.
 */
export async function assemble(entry, options) {
  const { default: asc } = await import("assemblyscript/asc");
  let wasm = new Uint8Array();
  let program;
  class Remember {
    afterCompile() {
      program = this.program;
    }
  }
  const { error, stderr } = await asc.main([entry, "--outFile", "kernels.wasm", ...options.split(" ")], {
    writeFile: (_, contents) => (wasm = contents),
    transforms: [Remember],
  });
  process.stderr.write(stderr.toString());
  if (error) throw error;
  return { wasm, program };
}

/**
 * What a source of a program exports.
 *
 * @param {any} program that {@link assemble} gave
 * @param {string} name of the source, without its folder and ending
 * @returns {any[]} functions and classes, as the compiler has them
 */
export function exportsOf(program, name) {
  const files = [...program.filesByName.values()];
  const { exports } = files.find(({ internalName }) => internalName.endsWith(`/${name}`));
  return [...exports.values()].flatMap(({ instances }) => instances?.get("") ?? []);
}

/**
 * How a kernel is called, as a member of an interface of TypeScript.
 *
 * @param {any} kernel
 */
export function callOf({ name, signature, prototype }) {
  const { parameterTypes, returnType } = signature;
  const { parameters } = prototype.functionTypeNode;
  const typed = parameters.map((one, i) => `${one.name.text}: ${typeOf(parameterTypes[i])}`);
  const result = String(returnType) === "void" ? "void" : "number";
  return `  readonly ${name}: (${typed.join(", ")}) => ${result};\n`;
}

/**
 * The type of what a caller gives for a type of AssemblyScript: for a class, the address of such a structure.
 *
 * @param {any} type
 */
export function typeOf({ classReference, isNullableReference }) {
  if (!classReference) return "number";
  return `Address<"${classReference.name}">${isNullableReference ? " | 0" : ""}`;
}

/**
 * Bundles a script into one text.
 *
 * @param {import("esbuild").BuildOptions & { entryPoints: string[] }} options
 */
export async function bundle(options) {
  const { outputFiles } = await build({ ...options, bundle: true, write: false });
  return outputFiles[0].text.trim();
}

/**
 * Writes a module, if its text is another one: at once, as others may read it meanwhile.
 *
 * @param {string} path
 * @param {string} text
 */
export function writeModule(path, text) {
  if (readIfThere(path) === text) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

/** @param {string} path */
export function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}
