/** Opens files of the folder that is served, and no others. */

import { constants } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";

/** A file can't be opened: there is none, or it is not one that may be read. */
export class NotInside extends Error {}

/** Whether `path` is `folder` or lies below it; both are real paths. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/**
 * Opens a file for reading.
 *
 * @param root the real path of the folder that is served.
 * @param path the file; symbolic links on the way are followed as long as they stay in `root`.
 * @throws NotInside if it leads out of `root`, or is no regular file; the system's error if there is none.
 */
export async function openInside(root: string, path: string): Promise<FileHandle> {
  const real = await realpath(path);
  if (!isInside(root, real)) throw new NotInside(`${path} leads out of the folder that is shown`);
  // Opening a pipe would wait for its other end. A link that took the file's place meanwhile is not followed.
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new NotInside(`${path} is no regular file`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Writes a new file into a folder.
 *
 * @throws NotInside if the folder leads out of `root`; the system's error if there is such a file or it can't be made.
 */
export async function createInside(root: string, folder: string, name: string): Promise<void> {
  const real = await realpath(folder);
  if (!isInside(root, real)) throw new NotInside(`${folder} leads out of the folder that is shown`);
  await (await open(join(real, name), "wx")).close();
}
