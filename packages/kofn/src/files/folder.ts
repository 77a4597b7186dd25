/** Tells folders from files. */

import { stat } from "node:fs/promises";

/** Whether a path is a folder (which a model file is not). */
export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
