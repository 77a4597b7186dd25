/** Downloads one file over HTTP: resumes, retries, notices stalls, checks the checksum, and appears only when whole. */

import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createGunzip } from "node:zlib";
import { InputError, KofnError, messageOf } from "../errors.js";
import type { RemoteFile } from "./catalog.js";

/** How long to wait, and how often to try. */
export interface Patience {
  /** A connection that brings nothing for so long counts as broken. Default 30,000 milliseconds. */
  readonly stallMs?: number;
  /** Attempts in a row that bring nothing. Default 5. */
  readonly attempts?: number;
  /** Wait before the second attempt; doubles up to 16 times as long. Default 500 milliseconds. */
  readonly backoffMs?: number;
}

export interface TransferOptions {
  /** Called for each piece that arrives; `received` counts what an earlier attempt had brought, too. */
  readonly onProgress?: (received: number, total: number) => void;
  readonly signal?: AbortSignal;
  readonly patience?: Patience;
}

/** What is known of a partial file: enough to ask for the rest of the same version. */
interface PartInfo {
  readonly url: string;
  /** A strong ETag or the date of last modification, for `If-Range`. */
  readonly validator?: string;
}

/** A failure that another attempt may overcome. */
class Transient extends Error {}

/**
 * Downloads `url` to `target`. Bytes gather in a `.part` file beside it, which an interrupted download leaves behind
 * and the next one continues (Range and If-Range, RFC 9110 sections 13.1.5 and 14.2); if the server can't continue, or
 * has another version by now, it starts anew. Several processes may download the same file at once: each writes a
 * part of its own, and the target is put in place by renaming.
 *
 * @throws KofnError if the server refuses, the connection keeps breaking, the disk is full, or the file is not the
 * expected one (the part is then deleted); InputError if the folder can't be written.
 */
export async function transfer(
  url: URL,
  target: string,
  expected: RemoteFile,
  options: TransferOptions = {},
): Promise<void> {
  const { stallMs = 30_000, attempts = 5, backoffMs = 500 } = options.patience ?? {};
  const part = await claimPart(target);
  try {
    for (let failures = 0; ;) {
      const before = await sizeOf(part);
      try {
        await attempt(url, part, expected, stallMs, options);
        break;
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        failures = (await sizeOf(part)) > before ? 1 : failures + 1;
        if (failures >= attempts) {
          throw new KofnError(
            `${url.href}: the download broke off ${failures} times in a row without progress (${error.message}). ` +
              `What has arrived is kept: the same command continues. Or name another server with --mirror.`,
            { cause: error },
          );
        }
        await sleep(Math.min(2 ** (failures - 1), 16) * backoffMs, undefined, { signal: options.signal });
      }
    }
    await verify(url, part, expected);
    await rename(part, target);
    await rm(infoOf(part), { force: true });
  } catch (error) {
    await releasePart(part, target);
    if (options.signal?.aborted === true) {
      throw new KofnError(
        `${url.href}: the download was stopped. What has arrived is kept: the same command continues.`,
        { cause: error },
      );
    }
    throw diskError(error, target);
  }
}

/**
 * Whether a file on disk is the expected one: by its own checksum, or for gzip files by that of its content.
 *
 * @throws the file system's error if the file can't be read.
 */
export async function matches(path: string, expected: RemoteFile): Promise<boolean> {
  if ((await digest(createReadStream(path))) === expected.sha256) return true;
  if (expected.contentSha256 === undefined) return false;
  const file = createReadStream(path);
  const content = createGunzip();
  file.on("error", (error) => content.destroy(error));
  try {
    return (await digest(file.pipe(content))) === expected.contentSha256;
  } catch {
    return false;
  } finally {
    file.destroy();
  }
}

async function digest(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

/** One request: appends to the part what the server sends. */
async function attempt(
  url: URL,
  part: string,
  expected: RemoteFile,
  stallMs: number,
  options: TransferOptions,
): Promise<void> {
  const offset = await sizeOf(part);
  const info = await readInfo(part);
  const resumes = offset > 0 && info?.url === url.href;
  if (resumes && offset === expected.size) return;

  const controller = new AbortController();
  const stop = (): void => {
    controller.abort();
  };
  options.signal?.addEventListener("abort", stop);
  options.signal?.throwIfAborted();
  const stalled = setTimeout(stop, stallMs);
  let file: FileHandle | undefined;
  try {
    const response = await fetch(url, {
      headers: {
        "accept-encoding": "identity",
        ...(resumes ? { range: `bytes=${offset}-` } : {}),
        ...(resumes && info.validator !== undefined ? { "if-range": info.validator } : {}),
      },
      signal: controller.signal,
    });
    const plan = planOf(url, response, resumes ? offset : 0, expected);
    if (plan === "again") {
      await rm(part, { force: true });
      throw new Transient("the server could not continue where the last attempt had stopped");
    }
    const body = response.body;
    if (body === null) throw new Transient("the server sent no body");
    const validator = validatorOf(response);
    file = await open(part, plan.from > 0 ? "r+" : "w");
    await writeFile(
      infoOf(part),
      JSON.stringify({ url: url.href, ...(validator === undefined ? {} : { validator }) } satisfies PartInfo),
    );
    let at = plan.from;
    options.onProgress?.(at, plan.total);
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      stalled.refresh();
      if (at + chunk.length > plan.limit) {
        await rm(part, { force: true });
        throw wrongLength(url, `more than ${plan.limit} bytes`, expected);
      }
      await writeAll(file, chunk, at);
      at += chunk.length;
      options.onProgress?.(at, plan.total);
    }
    if (at < plan.total) throw new Transient(`it ended after ${at} of ${plan.total} bytes`);
    await file.sync();
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    if (controller.signal.aborted) throw new Transient(`nothing arrived for ${stallMs / 1000} seconds`);
    throw isNetworkError(error) ? new Transient(networkMessage(error)) : error;
  } finally {
    clearTimeout(stalled);
    options.signal?.removeEventListener("abort", stop);
    controller.abort();
    await file?.close();
  }
}

/** Where to write what the server sends, and how much it may be; "again" if the part is of no use. */
function planOf(
  url: URL,
  response: Response,
  offset: number,
  expected: RemoteFile,
): { from: number; total: number; limit: number } | "again" {
  const { status, headers } = response;
  if (status === 416) return "again";
  if (status === 408 || status === 429 || status >= 500) throw new Transient(`the server answered ${status}`);
  if (!response.ok) {
    throw new KofnError(
      `${url.href}: expected the file, the server answered ${status} ${response.statusText}. ` +
        `Name another server's folder with --mirror.`,
    );
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new KofnError(
      `${url.href}: expected the file as it is, the server sends it with content-encoding ${encoding}. ` +
        `Name another server's folder with --mirror.`,
    );
  }
  let from = 0;
  let total = Number(headers.get("content-length") ?? Number.NaN);
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "");
    if (range === null || Number(range[1]) !== offset) return "again";
    from = offset;
    total = Number(range[2]);
  }
  // A file that was compressed anew has another length.
  const exact = expected.contentSha256 === undefined;
  if (exact && !Number.isNaN(total) && total !== expected.size) {
    throw wrongLength(url, `${total} bytes`, expected);
  }
  return {
    from,
    total: Number.isNaN(total) ? expected.size : total,
    limit: exact ? expected.size : 2 * expected.size,
  };
}

function wrongLength(url: URL, found: string, expected: RemoteFile): KofnError {
  return new KofnError(
    `${url.href}: expected ${expected.name} of ${expected.size} bytes, the server offers ${found}: another file. ` +
      `Name another server's folder with --mirror.`,
  );
}

async function verify(url: URL, part: string, expected: RemoteFile): Promise<void> {
  if (await matches(part, expected)) return;
  const size = await sizeOf(part);
  const found = await digest(createReadStream(part));
  await rm(part, { force: true });
  throw new KofnError(
    `${url.href}: wrong checksum: expected ${expected.size} bytes with SHA-256 ${expected.sha256}, found ${size} bytes ` +
      `with ${found}. The download was deleted. Try again, or name another server's folder with --mirror.`,
  );
}

/** A strong validator of the version that the server sends; weak ETags are of no use in If-Range. */
function validatorOf({ headers }: Response): string | undefined {
  const tag = headers.get("etag");
  if (tag !== null && !tag.startsWith("W/")) return tag;
  return headers.get("last-modified") ?? undefined;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

const NETWORK_CODES =
  /^(UND_ERR_|ECONN|ENOTFOUND|EAI_|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SSL|ERR_TLS|CERT_)/;

/** fetch reports every failure of the network as a TypeError with a cause. */
function isNetworkError(error: unknown): boolean {
  return (error instanceof TypeError && error.cause !== undefined) || NETWORK_CODES.test(codeOf(error) ?? "");
}

function networkMessage(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = codeOf(cause);
  const message = messageOf(cause);
  return message === "" && code !== undefined ? code : message;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function diskError(error: unknown, target: string): unknown {
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new KofnError(
      `${dirname(target)}: no space left for ${basename(target)}. What has arrived is kept: make room and run the same ` +
        `command again, or name another folder with --data-dir.`,
      { cause: error },
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOTDIR" || code === "EEXIST") {
    return new InputError(
      `${dirname(target)}: expected a folder that can be written, found that it can't (${messageOf(error)}). ` +
        `Name another with --data-dir.`,
      { cause: error },
    );
  }
  return error;
}

const infoOf = (part: string): string => `${part}.json`;

/** Parts of processes that run are named after them; a part that nobody works on is called `<target>.part`. */
const OWNED = /\.(\d+)-[0-9a-f]{8}\.part$/;

/** Takes over what an earlier download of `target` left, if anything, under a name that is this call's alone. */
async function claimPart(target: string): Promise<string> {
  const dir = dirname(target);
  const name = basename(target);
  try {
    await mkdir(dir, { recursive: true });
  } catch (error) {
    throw diskError(error, target);
  }
  const own = join(dir, `${name}.${process.pid}-${randomBytes(4).toString("hex")}.part`);
  const left = (await readdir(dir)).filter((file) => {
    if (file === `${name}.part`) return true;
    const owner = file.startsWith(`${name}.`) ? OWNED.exec(file) : null;
    return owner !== null && !isRunning(Number(owner[1]));
  });
  for (const file of left) {
    const found = join(dir, file);
    try {
      await rename(found, own);
    } catch (error) {
      // Another process was faster.
      if (codeOf(error) === "ENOENT") continue;
      throw diskError(error, target);
    }
    await rename(infoOf(found), infoOf(own)).catch(() => undefined);
    return own;
  }
  return own;
}

/** Leaves the part for the next download to take over, or nothing if it is empty. */
async function releasePart(part: string, target: string): Promise<void> {
  if ((await sizeOf(part)) > 0) {
    await rename(infoOf(part), infoOf(`${target}.part`)).catch(() => undefined);
    await rename(part, `${target}.part`);
  } else {
    await rm(part, { force: true });
    await rm(infoOf(part), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

async function readInfo(part: string): Promise<PartInfo | undefined> {
  try {
    const info: unknown = JSON.parse(await readFile(infoOf(part), "utf8"));
    if (typeof info !== "object" || info === null || !("url" in info) || typeof info.url !== "string")
      return undefined;
    const validator = "validator" in info && typeof info.validator === "string" ? info.validator : undefined;
    return { url: info.url, ...(validator === undefined ? {} : { validator }) };
  } catch {
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}
