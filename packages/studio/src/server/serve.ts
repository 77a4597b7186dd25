/** Starts the studio: a server on 127.0.0.1 that shows the runs of a folder. */

import { mkdir, realpath, stat } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { createApp } from "./app.js";
import { readAssets } from "./assets.js";
import { codeOf, messageOf, StudioError } from "./errors.js";
import { Runs } from "./runs.js";
import { userToken } from "./token.js";

const ADDRESS = "127.0.0.1";
const DEFAULT_PORT = 5636;

export interface StudioOptions {
  /** The folder below which the runs are. */
  readonly folder: string;
  /** Port of 127.0.0.1; 0 takes a free one. Default 5636. */
  readonly port?: number;
  /** Take a free port if the other is taken. Default false. */
  readonly freePortInstead?: boolean;
  /** Make the folder if there is none. Default false. */
  readonly makeFolder?: boolean;
}

export interface Studio {
  /** Where a browser finds the page, the token included. */
  readonly url: string;
  readonly port: number;
  /** Ends the server, open pages and all. */
  close(): Promise<void>;
}

/**
 * Serves the page until it is closed.
 *
 * @throws StudioError if the folder does not exist, the port is taken, or the page has not been built.
 * @example
 * const studio = await startStudio({ folder: "runs" });
 * console.log(studio.url); // http://127.0.0.1:5636/#token=...
 * await studio.close();
 */
export async function startStudio({
  folder,
  port = DEFAULT_PORT,
  freePortInstead = false,
  makeFolder = false,
}: StudioOptions): Promise<Studio> {
  if (makeFolder) await mkdir(folder, { recursive: true });
  const root = await rootOf(folder);
  const assets = await readAssets();
  const token = await userToken();
  const runs = new Runs(root);
  // The app knows its port, so that there is one only once the server listens.
  let answer: (request: Request) => Response | Promise<Response> = () => new Response(null, { status: 503 });
  const server = createAdaptorServer({ fetch: (request) => answer(request) }) as Server;
  const listening = await listen(server, port, freePortInstead, folder);
  answer = createApp({ folder, port: listening, token, runs, assets }).fetch;
  await runs.start();
  return {
    url: `http://${ADDRESS}:${listening}/#token=${token}`,
    port: listening,
    close: () =>
      new Promise((resolve) => {
        runs.close();
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function rootOf(folder: string): Promise<string> {
  let reason: string;
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
    reason = "it is a file and no folder";
  } catch (error) {
    reason = codeOf(error) === "ENOENT" ? "there is no such folder" : messageOf(error);
  }
  throw new StudioError(
    "folder",
    `studio: can't show "${folder}": ${reason}. Name the folder that holds your runs (kofn studio FOLDER), ` +
      `or train one first: kofn train lenet-300-100 --out runs/a.`,
  );
}

/** @returns the port. */
async function listen(
  server: Server,
  port: number,
  freePortInstead: boolean,
  folder: string,
): Promise<number> {
  const attempt = (at: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(at, ADDRESS, () => {
        server.off("error", reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  try {
    return await attempt(port);
  } catch (error) {
    const taken = codeOf(error) === "EADDRINUSE";
    if (taken && freePortInstead) return attempt(0);
    const reason = taken ? "it is taken, perhaps by another kofn studio" : messageOf(error);
    throw new StudioError(
      "port",
      `studio: can't listen on port ${port} of ${ADDRESS}: ${reason}. End that program, or choose another port: ` +
        `kofn studio ${folder} --port ${port < 65535 ? port + 1 : DEFAULT_PORT}.`,
      { cause: error },
    );
  }
}
