/** The secret that a page must show. It outlives the server, so that a page that is open goes on with the next one. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { homedir, platform } from "node:os";
import { isAbsolute, join } from "node:path";

const FILE = "studio-token";
const TOKEN = /^[0-9a-f]{32}$/;

/**
 * The user's folder for what programs keep from one start to the next: `$XDG_STATE_HOME` or `~/.local/state`,
 * `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows; in it `kofn`.
 */
function stateFolder(): string {
  const set = (name: string): string | undefined => {
    const value = process.env[name];
    return value !== undefined && isAbsolute(value) ? value : undefined;
  };
  if (platform() === "win32") return join(set("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "kofn");
  if (platform() === "darwin") return join(homedir(), "Library", "Application Support", "kofn");
  return join(set("XDG_STATE_HOME") ?? join(homedir(), ".local", "state"), "kofn");
}

/** The token of this user, made on the first call. Where none can be kept, one for this server alone. */
export async function userToken(): Promise<string> {
  const path = join(stateFolder(), FILE);
  const known = await readToken(path);
  if (known !== undefined) return known;
  const token = randomBytes(16).toString("hex");
  try {
    await mkdir(stateFolder(), { recursive: true, mode: 0o700 });
    await rm(path, { force: true });
    const file = await open(path, "wx", 0o600);
    await file.writeFile(token).finally(() => file.close());
    return token;
  } catch {
    // Another studio may have made one meanwhile.
    return (await readToken(path)) ?? token;
  }
}

/** The token in a file that nobody else can read or write. */
async function readToken(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { mode, uid, size } = await file.stat();
      const others = platform() !== "win32" && (mode & 0o077) !== 0;
      if (others || size > 100 || (process.getuid !== undefined && uid !== process.getuid()))
        return undefined;
      const token = await file.readFile("utf8");
      return TOKEN.test(token) ? token : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** What the cookie holds: who reads it does not know the token. */
export function cookieValue(token: string): string {
  return createHash("sha256").update(`kofn-studio-cookie:${token}`).digest("hex");
}

/** Compares secrets in a time that does not tell where they differ. */
export function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
