/** Folders of images, in folders named after their classes. */

import { readdir, realpath, stat } from "node:fs/promises";
import { basename, extname, join, relative, resolve } from "node:path";
import { InputError, messageOf } from "../errors.js";
import type { Picture } from "./decoder.js";
import { dividePictures, inRandomOrder, pictureDataset, type PictureOptions } from "./pictures.js";
import { listFolder } from "./split.js";
import type { Dataset } from "../data/types.js";

const EXTENSIONS: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp"]);
const TRAINING = "train";
/** Names of the folder beside `train`, in the order in which they are looked for. */
const VALIDATION = ["val", "valid", "validation"];
const TESTING = "test";

/**
 * A data set of images in folders. Either the folder has a folder of each class (then a tenth of the images is for
 * validation and a tenth for testing, at random but always the same), or it has `train` and `test` or `val` (or both; with
 * one of them it is the test split, and validation is a tenth of `train`), and each of these has a folder of each class.
 * Images are .jpg, .jpeg, .png or .webp, at any depth; names that begin with a dot are left out.
 *
 * @throws InputError if there is no image, only one class, a class without images for training, a link that leads nowhere or
 * in circles, or an image that can't be decoded.
 *
 * @example
 * const data = await folderDataset("photos", { size: { channels: 3, height: 224, width: 224 } });
 */
export async function folderDataset(
  path: string,
  options: PictureOptions = {},
  memory?: number,
): Promise<Dataset> {
  const names = (await entriesIn(path)).filter(({ folder }) => folder).map(({ name }) => name);
  const validation = VALIDATION.find((name) => names.includes(name));
  const divided = names.includes(TRAINING) && (names.includes(TESTING) || validation !== undefined);
  const training = divided ? join(path, TRAINING) : path;
  const classes = divided ? await classesIn(training) : names.sort(byCodeUnits);
  const others = { count: 0, example: "" };
  const train = await picturesIn(training, classes, others);
  checkClasses(train, classes, training, await listFolder(training));
  const name = basename(resolve(path));
  const read = async (role: string): Promise<Picture[]> => {
    const folder = join(path, role);
    const unknown = (await classesIn(folder)).filter((found) => !classes.includes(found));
    if (unknown.length > 0) {
      throw new InputError(
        `${folder}: expected folders of the classes of ${training}, found others: ${unknown.join(", ")}.`,
      );
    }
    const pictures = await picturesIn(folder, classes, others);
    if (pictures.length > 0) return pictures;
    throw new InputError(
      `${folder}: expected images (.jpg, .jpeg, .png, .webp) in folders of classes, found none.`,
    );
  };
  const test = divided ? await read(names.includes(TESTING) ? TESTING : (validation ?? TESTING)) : undefined;
  const own = validation !== undefined && names.includes(TESTING) ? await read(validation) : undefined;
  if (others.count > 0) {
    options.onNote?.(
      `${path}: ${others.count} files are no .jpg, .jpeg, .png or .webp and are left out, such as ${others.example}`,
    );
  }
  const parts =
    own === undefined || test === undefined
      ? dividePictures(train, training, test)
      : { train: inRandomOrder(train), validation: own, test };
  return pictureDataset(name, classes, parts, options, memory);
}

function checkClasses(
  train: readonly Picture[],
  classes: readonly string[],
  path: string,
  found: string,
): void {
  if (train.length === 0) {
    throw new InputError(
      `${path}: expected images (.jpg, .jpeg, .png, .webp) in a folder for each class, found none. In it: ${found}.`,
    );
  }
  if (classes.length < 2) {
    throw new InputError(
      `${path}: expected at least two classes, a folder of images for each, found one: ${classes.join(", ")}.`,
    );
  }
  if (classes.length > 1 << 16) {
    throw new InputError(`${path}: expected at most ${1 << 16} classes, found ${classes.length} folders.`);
  }
  const present = new Set(train.map(({ label }) => label));
  const empty = classes.filter((_, label) => !present.has(label));
  if (empty.length > 0) {
    throw new InputError(
      `${path}: expected images for training in the folder of every class, found none in ${empty.slice(0, 5).join(", ")}` +
        `${empty.length > 5 ? `, and ${empty.length - 5} more` : ""}. Add some, or remove the folder.`,
    );
  }
}

async function classesIn(path: string): Promise<string[]> {
  const entries = await entriesIn(path);
  return entries
    .filter(({ folder }) => folder)
    .map(({ name }) => name)
    .sort(byCodeUnits);
}

async function picturesIn(
  path: string,
  classes: readonly string[],
  others: { count: number; example: string },
): Promise<Picture[]> {
  const pictures: Picture[] = [];
  const walk = async (folder: string, label: number, above: readonly string[]): Promise<void> => {
    const real = await realpath(folder);
    if (above.includes(real)) {
      throw new InputError(`${folder}: the link leads in circles, back to ${real}. Remove it.`);
    }
    for (const { name, folder: isFolder } of await entriesIn(folder)) {
      const at = join(folder, name);
      if (isFolder) await walk(at, label, [...above, real]);
      else if (EXTENSIONS.has(extname(name).toLowerCase())) {
        pictures.push({ name: relative(path, at), label, source: at });
      } else {
        others.count++;
        others.example = at;
      }
    }
  };
  const root = await realpath(path);
  const present = new Set((await entriesIn(path)).map(({ name }) => name));
  for (const [label, name] of classes.entries()) {
    if (present.has(name)) await walk(join(path, name), label, [root]);
  }
  return pictures;
}

/** What is in a folder, by name, without names that begin with a dot; links count as what they lead to. */
async function entriesIn(path: string): Promise<{ name: string; folder: boolean }[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw new InputError(`${path}: can't read the folder (${messageOf(error)}).`, { cause: error });
  });
  const visible = entries
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => byCodeUnits(a.name, b.name));
  return Promise.all(
    visible.map(async (entry) => ({
      name: entry.name,
      folder: entry.isSymbolicLink() ? await leadsToFolder(join(path, entry.name)) : entry.isDirectory(),
    })),
  );
}

async function leadsToFolder(link: string): Promise<boolean> {
  try {
    return (await stat(link)).isDirectory();
  } catch (error) {
    const circles = error instanceof Error && "code" in error && error.code === "ELOOP";
    throw new InputError(
      `${link}: expected a link to an image or a folder, but it leads ${circles ? "in circles" : "nowhere"}. Remove or repair it.`,
      { cause: error },
    );
  }
}

/** The same order on every machine. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
