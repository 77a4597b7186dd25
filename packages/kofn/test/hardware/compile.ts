/** Compiles C programs that kofn has written, with warnings as errors and under sanitizers, and runs them. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CSource } from "../../src/hardware/c/source.js";
import type { Program } from "../../src/hardware/program.js";

/**
 * Whether a program is installed; if it is not, a line on stderr says which tests are skipped.
 *
 * @throws Error instead, if the environment has KOFN_NO_SKIP=1.
 */
export function isInstalled(program: string, argument = "--version"): boolean {
  if (spawnSync(program, [argument]).error === undefined) return true;
  const what = `${program} is not installed: the tests that need it are skipped`;
  if (process.env.KOFN_NO_SKIP === "1") throw new Error(`KOFN_NO_SKIP=1, but ${what}`);
  process.stderr.write(`SKIPPED: ${what}\n`);
  return false;
}

const FLAGS =
  "-std=c99 -Wall -Wextra -Werror -pedantic -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all";

/** Reads samples from stdin until it ends, and writes their outputs. */
const mainOf = (name: string): string => `#include <stdio.h>
#include "${name}.h"

int main(void) {
  static float input[${name.toUpperCase()}_INPUT_SIZE];
  static float output[${name.toUpperCase()}_OUTPUT_SIZE];
  while (fread(input, sizeof input, 1, stdin) == 1) {
    ${name}_run(input, output);
    if (fwrite(output, sizeof output, 1, stdout) != 1) return 1;
  }
  return 0;
}
`;

/** The outputs of a program in C for samples, one behind the other. */
export function runC(
  name: string,
  { source, header }: CSource,
  { output }: Program,
  inputs: readonly Float32Array[],
): Float32Array[] {
  const folder = mkdtempSync(join(tmpdir(), "kofn-c-"));
  try {
    writeFileSync(join(folder, `${name}.c`), source);
    writeFileSync(join(folder, `${name}.h`), header);
    writeFileSync(join(folder, "main.c"), mainOf(name));
    const built = spawnSync("gcc", [...FLAGS.split(" "), `${name}.c`, "main.c", "-o", "program"], {
      cwd: folder,
    });
    if (built.status !== 0) throw new Error(`gcc: ${built.stderr.toString()}`);
    const bytes = Buffer.concat(
      inputs.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength)),
    );
    const ran = spawnSync(join(folder, "program"), { input: bytes, maxBuffer: 2 ** 28 });
    if (ran.status !== 0)
      throw new Error(`the program ended with ${ran.status ?? "a signal"}: ${ran.stderr.toString()}`);
    const all = new Float32Array(new Uint8Array(ran.stdout).buffer);
    return inputs.map((_, i) => all.slice(i * output.size, (i + 1) * output.size));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
