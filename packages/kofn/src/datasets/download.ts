/** Brings data sets onto this machine, and tells which of them are there. */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.js";
import { CATALOG, DOWNLOADABLE, downloadable, type DownloadableName, type RemoteFile } from "./catalog.js";
import { CIFAR10, CIFAR100, locateCifar } from "./cifar.js";
import { locateIdx } from "./idx.js";
import { datasetFolder, type FolderOptions } from "./registry.js";
import { matches, type Patience, transfer } from "./transfer.js";

export interface DownloadProgress {
  readonly file: string;
  /** Number of the file, from 1, and of all files. */
  readonly index: number;
  readonly files: number;
  /** Bytes of this file. */
  readonly received: number;
  readonly total: number;
}

export interface GetOptions extends FolderOptions {
  /** URL of a folder that has the same files; it takes the place of the publisher's. */
  readonly mirror?: string;
  /** Called for each piece that arrives. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download; what has arrived is kept for the next. */
  readonly signal?: AbortSignal;
  readonly patience?: Patience;
}

export interface GetResult {
  readonly name: DownloadableName;
  readonly dir: string;
  readonly files: readonly {
    readonly name: string;
    /** "present": it was there, and sound. "replaced": it was there, but its checksum was wrong. */
    readonly state: "present" | "downloaded" | "replaced";
  }[];
}

/**
 * Downloads the files of a data set that are missing or damaged, checks them, and puts them where `loadDataset` looks.
 *
 * @throws InputError for an unknown name, a mirror that is no http(s) URL, or a folder that can't be written; KofnError
 * if the download fails.
 *
 * @example
 * const { dir } = await getDataset("mnist", { mirror: "http://localhost:8000/mnist" });
 */
export async function getDataset(name: string, options: GetOptions = {}): Promise<GetResult> {
  const known = downloadable(name);
  const { url, files } = CATALOG[known];
  return getFiles(known, files, mirrorUrl(options.mirror ?? url), options);
}

/** `getDataset` for files that may be others than the catalogue's. */
export async function getFiles(
  name: DownloadableName,
  files: readonly RemoteFile[],
  base: URL,
  options: Omit<GetOptions, "mirror">,
): Promise<GetResult> {
  const dir = datasetFolder(name, options);
  const results: { name: string; state: "present" | "downloaded" | "replaced" }[] = [];
  for (const [i, file] of files.entries()) {
    const target = join(dir, file.name);
    const exists = await isFile(target);
    if (exists && (await matches(target, file))) {
      results.push({ name: file.name, state: "present" });
      continue;
    }
    const { onProgress, signal, patience } = options;
    await transfer(new URL(file.name, base), target, file, {
      ...(onProgress === undefined
        ? {}
        : {
            onProgress: (received, total) => {
              onProgress({ file: file.name, index: i + 1, files: files.length, received, total });
            },
          }),
      ...(signal === undefined ? {} : { signal }),
      ...(patience === undefined ? {} : { patience }),
    });
    results.push({ name: file.name, state: exists ? "replaced" : "downloaded" });
  }
  return { name, dir, files: results };
}

function mirrorUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InputError(
      `mirror "${text}": expected the http or https URL of a folder, such as https://example.org/mnist/.`,
    );
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

export interface DatasetStatus {
  readonly name: DownloadableName;
  readonly title: string;
  readonly licence: string;
  readonly dir: string;
  /** Bytes that a download of all files takes. */
  readonly size: number;
  /** Whether all files that loading needs are there (their checksums are not looked at). */
  readonly complete: boolean;
  /** Files that are missing. */
  readonly missing: readonly string[];
  /** Whether an unfinished download waits to be continued. */
  readonly partial: boolean;
}

/**
 * The data sets that can be downloaded, and which of them are on this machine.
 *
 * @param options `dir`: look for every data set in this one folder. Default: each in its own folder of `dataHome()`.
 *
 * @example
 * for (const { name, complete } of await listDatasets()) console.log(name, complete ? "here" : "missing");
 */
export async function listDatasets(options: FolderOptions = {}): Promise<DatasetStatus[]> {
  return Promise.all(
    DOWNLOADABLE.map(async (name) => {
      const { title, licence, files } = CATALOG[name];
      const dir = datasetFolder(name, options);
      const missing = await missingFiles(name, dir);
      const present = await readdir(dir).catch(() => []);
      return {
        name,
        title,
        licence,
        dir,
        size: files.reduce((sum, file) => sum + file.size, 0),
        complete: missing.length === 0,
        missing,
        partial: files.some((file) =>
          present.some((entry) => entry.startsWith(`${file.name}.`) && entry.endsWith(".part")),
        ),
      };
    }),
  );
}

async function missingFiles(name: DownloadableName, dir: string): Promise<readonly string[]> {
  switch (name) {
    case "cifar10":
      return (await locateCifar(dir, CIFAR10)) === undefined ? [CIFAR10.archive] : [];
    case "cifar100":
      return (await locateCifar(dir, CIFAR100)) === undefined ? [CIFAR100.archive] : [];
    case "mnist":
    case "fashion-mnist":
    case "kmnist":
      return (await locateIdx(dir)).missing;
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
