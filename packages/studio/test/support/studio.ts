/** A studio for tests: in a folder of its own, with a token of its own, on a free port. */

import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { startStudio, type Studio, type StudioOptions } from "../../src/server/serve.js";

/** A new folder, taken away after the tests of the file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kofn-studio-")));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Keeps the token in a folder instead of the user's. */
export function keepTokenIn(folder: string): void {
  process.env.XDG_STATE_HOME = folder;
  process.env.LOCALAPPDATA = folder;
}

export async function studioOf(folder: string, options: Partial<StudioOptions> = {}): Promise<Studio> {
  return startStudio({ folder, port: 0, ...options });
}

/** A page's side of a session: asks with the cookie that the token is exchanged for. */
export class Client {
  readonly origin: string;
  readonly token: string;
  cookie = "";

  constructor({ url }: Studio) {
    const { origin, hash } = new URL(url);
    this.origin = origin;
    this.token = hash.replace("#token=", "");
  }

  static async of(studio: Studio): Promise<Client> {
    const client = new Client(studio);
    const response = await client.session(client.token);
    client.cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
    return client;
  }

  session(token: string, headers: Record<string, string> = { Origin: this.origin }): Promise<Response> {
    return fetch(`${this.origin}/api/session`, { method: "POST", body: JSON.stringify({ token }), headers });
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.origin + path, { headers: { Cookie: this.cookie, ...headers } });
  }

  async json<T>(path: string): Promise<T> {
    return (await (await this.get(path)).json()) as T;
  }

  post(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.origin + path, {
      method: "POST",
      headers: { Cookie: this.cookie, Origin: this.origin, ...headers },
    });
  }
}

/** Tries until it holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
