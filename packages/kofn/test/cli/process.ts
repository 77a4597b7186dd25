/** Runs the command line as a process, and makes a small data set for it. */

import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "../../src/random.js";
import { idxBytes } from "../datasets/files.js";

export const KOFN = fileURLToPath(new URL("../../bin/kofn.js", import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the process once it runs. */
  readonly onSpawn?: (child: ChildProcess) => void;
}

/** The environment of a process that does not find a package. */
export function withoutPackage(name: string): Record<string, string> {
  const hooks = `export function resolve(name, context, next) {
    if (name === ${JSON.stringify(name)}) throw new Error("Cannot find package '" + name + "'");
    return next(name, context);
  }`;
  const hooksUrl = `data:text/javascript,${encodeURIComponent(hooks)}`;
  const script = `import { register } from "node:module"; register(${JSON.stringify(hooksUrl)});`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

/** Runs `kofn ARGS`. */
export function kofn(args: readonly string[], options: Options = {}): Promise<Result> {
  return run(process.execPath, [KOFN, ...args], options);
}

export function run(
  program: string,
  args: readonly string[],
  { cwd, env = {}, onSpawn }: Options = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const inherited = { ...process.env };
    for (const name of ["NO_COLOR", "FORCE_COLOR", "KOFN_DEBUG", "KOFN_DATA"])
      Reflect.deleteProperty(inherited, name);
    const child = spawn(program, args, {
      cwd,
      env: { ...inherited, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout, stderr });
    });
    onSpawn?.(child);
  });
}

/** Runs work on each item, a few at a time; the results are in the order of the items. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: 3 }, worker));
  return results;
}

/** 28x28 images whose class is where they are bright, with noise: the four files of an MNIST-like data set. */
export async function writeDigits(folder: string, train: number, test: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const random = new Random(1, "digits");
  for (const [prefix, count] of [
    ["train", train],
    ["t10k", test],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, () => random.below(10));
    const images = Uint8Array.from({ length: count * 784 }, (_, i) => {
      const row = Math.floor((i % 784) / 28);
      const bright = Math.floor(row / 2.8) === labels[Math.floor(i / 784)];
      return random.below(100) + (bright ? 100 : 0);
    });
    await writeFile(join(folder, `${prefix}-labels-idx1-ubyte`), idxBytes([count], labels));
    await writeFile(join(folder, `${prefix}-images-idx3-ubyte`), idxBytes([count, 28, 28], images));
  }
}
