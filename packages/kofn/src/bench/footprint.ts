/** Measures what an engine takes to load a network: time and memory, in processes of their own. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { KofnError, messageOf } from "../errors.js";
import type { EngineName, Names } from "./engines.js";

const CHILD = fileURLToPath(new URL("footprint-child.js", import.meta.url));

/** A network for an engine. */
export interface FootprintTask {
  readonly engine: EngineName;
  /** Of the .kofn file for kofn, else of the ONNX file. */
  readonly path: string;
  readonly names: Names;
  /** Of the input, the batch first. */
  readonly dims: readonly number[];
  readonly threads: number;
}

export interface Footprint {
  /** From the file to a network that is ready, the package being loaded already. */
  readonly loadMs: number;
  /** The most memory of a process that loads package and network and runs it, above that of one that does neither. */
  readonly memoryBytes: number;
}

/** @throws KofnError if the process fails. */
export async function footprint(task: FootprintTask): Promise<Footprint> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, JSON.stringify(task)]);
    return JSON.parse(stdout) as Footprint;
  } catch (error) {
    throw new KofnError(
      `${task.engine} failed in a process of its own, in which it was to load ${task.path}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
