/** Finds data sets by name: where they lie on this machine, and how each is read. */

import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { InputError } from "../errors.js";
import { CATALOG, DOWNLOADABLE, type DownloadableName } from "./catalog.js";
import {
  CIFAR10,
  CIFAR100,
  CIFAR_AUGMENTATION,
  cifarDataset,
  type CifarLayout,
  locateCifar,
} from "./cifar.js";
import { folderDataset } from "./folder.js";
import { glyphs } from "./glyphs.js";
import { idxDataset } from "./idx.js";
import { locateParquet, parquetDataset } from "./parquet.js";
import type { PictureOptions } from "./pictures.js";
import type { Dataset, ResidentDataset } from "../data/types.js";

export const DATASET_NAMES = ["glyphs", ...DOWNLOADABLE] as const;
export type DatasetName = (typeof DATASET_NAMES)[number];

/** What `loadDataset` goes by. */
export interface LoadOptions extends FolderOptions, PictureOptions {}

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
  folder: folderDataset,
  parquet: parquetDataset,
};

/**
 * A data set by what the command line calls it: its name, a folder of class folders of images, or a parquet file or a folder
 * of them. A folder with the images or parquet files of CIFAR is read under its name, too.
 *
 * @throws InputError for an unknown name, and for files that are missing or wrong.
 *
 * @example
 * const data = await loadDataset("mnist", { dir: "data/mnist" });
 */
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  const known = DATASET_NAMES.find((candidate) => candidate === name);
  if (known === undefined) {
    return (await ofPictures(name, options)) ?? unknown(name);
  }
  if (known === "glyphs") return glyphs();
  return (isCifar(known) ? await cifarOfPictures(known, options) : undefined) ?? read(known, options);
}

/** The data set of pictures at a path; undefined if there is no folder and no parquet file. */
async function ofPictures(path: string, options: PictureOptions): Promise<Dataset | undefined> {
  if ((await locateParquet(path)) !== undefined) return parquetDataset(path, options);
  return (await isFolder(path)) ? folderDataset(path, options) : undefined;
}

function unknown(name: string): never {
  throw new InputError(
    `data set "${name}": no such data set. Data sets: ${DATASET_NAMES.join(", ")}; or the path of a folder with a folder of ` +
      `images for each class, of a .parquet file, or of a folder of these.`,
  );
}

const CIFAR: Readonly<Record<"cifar10" | "cifar100", CifarLayout>> = { cifar10: CIFAR10, cifar100: CIFAR100 };

function isCifar(name: DownloadableName): name is keyof typeof CIFAR {
  return name in CIFAR;
}

/** CIFAR as parquet files or as images in `train` and `test`; undefined if its folder has the binary version, or none. */
async function cifarOfPictures(name: keyof typeof CIFAR, options: LoadOptions): Promise<Dataset | undefined> {
  const dir = datasetFolder(name, options);
  const layout = CIFAR[name];
  if ((await locateCifar(dir, layout)) !== undefined) return undefined;
  if (!(await isFolder(join(dir, "train"))) && (await locateParquet(dir)) === undefined) return undefined;
  const size = { channels: 3, height: 32, width: 32 };
  const data = await ofPictures(dir, { ...options, size });
  const { classes } = CATALOG[name];
  if (data === undefined) return undefined;
  if (data.classes.length !== classes.length) {
    throw new InputError(
      `data set ${name}: ${dir}: expected images of ${classes.length} classes, found ${data.classes.length}.`,
    );
  }
  return { ...data, name, normalization: layout.normalization, augmentation: CIFAR_AUGMENTATION };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function read(name: DownloadableName, options?: FolderOptions): Promise<ResidentDataset> {
  return READERS[name](datasetFolder(name, options));
}
