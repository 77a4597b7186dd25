/** The files of the built page, all read when the server starts: a request names one of them, or nothing. */

import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { StudioError } from "./errors.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where vite puts the page: beside this file once it is compiled, and from the sources, too. */
const FOLDER = fileURLToPath(new URL("../../dist/page/", import.meta.url));

/**
 * The files by their path in the address, such as "/assets/index.js"; "/" is the page.
 *
 * @throws StudioError if the page has not been built.
 */
export async function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>();
  const entries = await readdir(FOLDER, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    const name = relative(FOLDER, path).split(sep).join("/");
    assets.set(name === "index.html" ? "/" : `/${name}`, {
      type,
      bytes: new Uint8Array(await readFile(path)),
    });
  }
  if (!assets.has("/")) {
    throw new StudioError(
      "page",
      `the studio's page has not been built: ${FOLDER} holds no index.html. Run npm run build.`,
    );
  }
  return assets;
}
