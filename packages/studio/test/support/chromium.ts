/** Finds the browser that tests of pages use. */

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PATH = process.env.KOFN_CHROMIUM ?? "/usr/bin/chromium";

/**
 * Whether there is a Chromium; if not, a line on stderr says which tests are skipped, and why.
 *
 * @throws Error instead, if the environment has KOFN_NO_SKIP=1.
 */
export function hasChromium(): boolean {
  if (existsSync(PATH)) return true;
  const what = `${PATH} is absent (Debian's package chromium; KOFN_CHROMIUM names another one): the tests in a browser are skipped`;
  if (process.env.KOFN_NO_SKIP === "1") throw new Error(`KOFN_NO_SKIP=1, but ${what}`);
  process.stderr.write(`SKIPPED: ${what}\n`);
  return false;
}

/** A browser that talks to nobody but the server that it is sent to. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: PATH,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
