/** Finds data sets by name: where they lie on this machine, and how each is read. */

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { InputError } from "../errors.js";
import { CATALOG, DOWNLOADABLE, type DownloadableName } from "./catalog.js";
import { CIFAR10, CIFAR100, cifarDataset } from "./cifar.js";
import { glyphs } from "./glyphs.js";
import { idxDataset } from "./idx.js";
import type { Dataset, ResidentDataset } from "./types.js";

export const DATASET_NAMES = ["glyphs", ...DOWNLOADABLE] as const;
export type DatasetName = (typeof DATASET_NAMES)[number];

/** Where to look for a data set. */
export interface FolderOptions {
  /** The folder with the data set's files. Default: the folder of its name in `dataHome()`. */
  readonly dir?: string;
}

/**
 * The folder that holds data sets, each in a folder of its name: `$KOFN_DATA`, else `kofn` in the user's cache folder
 * (`$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS; `%LOCALAPPDATA%` on Windows).
 *
 * @example
 * dataHome({ KOFN_DATA: "/data" }); // "/data"
 */
export function dataHome(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: string = process.platform,
): string {
  const set = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const chosen = set("KOFN_DATA");
  if (chosen !== undefined) return chosen;
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "kofn");
  if (platform === "win32") return join(set("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "kofn");
  const cache = set("XDG_CACHE_HOME");
  // The XDG base directory specification has relative paths ignored.
  return join(cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), ".cache"), "kofn");
}

/** The folder in which a downloadable data set is looked for. */
export function datasetFolder(name: DownloadableName, { dir }: FolderOptions = {}): string {
  return dir ?? join(dataHome(), name);
}

const READERS: Readonly<Record<DownloadableName, (dir: string) => Promise<ResidentDataset>>> = {
  mnist: (dir) => idxDataset("mnist", dir, CATALOG.mnist.classes),
  "fashion-mnist": (dir) => idxDataset("fashion-mnist", dir, CATALOG["fashion-mnist"].classes),
  kmnist: (dir) => idxDataset("kmnist", dir, CATALOG.kmnist.classes),
  cifar10: (dir) => cifarDataset("cifar10", dir, CIFAR10, CATALOG.cifar10.classes),
  cifar100: (dir) => cifarDataset("cifar100", dir, CIFAR100, CATALOG.cifar100.classes),
};

/**
 * The data sets that kofn knows. All but `glyphs`, which is drawn by the program, are read from files that
 * `kofn data get` (or `getDataset`) has brought.
 *
 * @example
 * const data = await datasets.mnist({ dir: "data/mnist" });
 * console.log(data.train.count, data.validation.count, data.test.count); // 55000 5000 10000
 */
export const datasets = {
  glyphs,
  mnist: (options?: FolderOptions): Promise<ResidentDataset> => read("mnist", options),
  fashionMnist: (options?: FolderOptions): Promise<ResidentDataset> => read("fashion-mnist", options),
  kmnist: (options?: FolderOptions): Promise<ResidentDataset> => read("kmnist", options),
  cifar10: (options?: FolderOptions): Promise<ResidentDataset> => read("cifar10", options),
  cifar100: (options?: FolderOptions): Promise<ResidentDataset> => read("cifar100", options),
};

/**
 * A data set by the name that the command line knows it by.
 *
 * @throws InputError for an unknown name, and for files that are missing or wrong.
 *
 * @example
 * const data = await loadDataset("mnist", { dir: "data/mnist" });
 */
export async function loadDataset(name: string, options: FolderOptions = {}): Promise<Dataset> {
  const known = DATASET_NAMES.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new InputError(`data set "${name}": no such data set. Data sets: ${DATASET_NAMES.join(", ")}.`);
  }
  return known === "glyphs" ? glyphs() : read(known, options);
}

function read(name: DownloadableName, options?: FolderOptions): Promise<ResidentDataset> {
  return READERS[name](datasetFolder(name, options));
}
