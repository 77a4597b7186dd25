/** `kofn studio`: serves a local web page that shows runs; and the same beside a run that trains. */

import type { Command } from "commander";
import type { Studio, StudioOptions } from "@kofn/studio";
import { InputError, KofnError, messageOf } from "../errors.js";
import { readNumber } from "../options/kinds.js";
import { Interrupted, INTERRUPTED } from "./interrupt.js";
import { note, print } from "./terminal.js";

const EXAMPLES = `
The page needs the token in the address that is printed. Only this machine reaches it. It changes nothing in the folder,
but for the request to stop a run.

Examples:
  kofn studio
  kofn studio results/sweep
  kofn studio runs --port 8080
  kofn train lenet-5 --data mnist --keep 5% --studio`;

export function addStudioCommand(program: Command): void {
  program
    .command("studio")
    .summary("show runs on a local web page")
    .description(
      "Serves a web page on 127.0.0.1 that shows all runs below a folder, live while they train, until Ctrl-C.",
    )
    .argument("[folder]", "folder with run directories", "runs")
    .option("--port <n>", "port of 127.0.0.1; 0 takes a free one (default: 5636)")
    .addHelpText("after", EXAMPLES)
    .action(async (folder: string, flags: { readonly port?: string }) => {
      await studioCommand(folder, flags.port);
    });
}

async function studioCommand(folder: string, port: string | undefined): Promise<void> {
  const studio = await open({ folder, ...(port === undefined ? {} : { port: portOf(port) }) });
  const end = interrupted();
  print(`The studio shows the runs in ${folder}:`);
  print(`  ${studio.url}`);
  note("Ctrl-C ends it.");
  await end;
  await studio.close();
}

/**
 * Does work while the studio shows a folder, and goes on showing it afterwards until Ctrl-C, unless that ended the work.
 *
 * @throws what the work throws.
 */
export async function withStudio(folder: string, work: () => Promise<void>): Promise<void> {
  const studio = await open({ folder, makeFolder: true, freePortInstead: true });
  note(`studio: ${studio.url}`);
  try {
    await work().catch(async (error: unknown) => {
      if (!(error instanceof Interrupted) || error.by === "terminal") throw error;
      note(error.message);
      await staysOpen(studio);
      await studio.close();
      process.exit(INTERRUPTED);
    });
    await staysOpen(studio);
  } finally {
    await studio.close();
  }
}

async function staysOpen({ url }: Studio): Promise<void> {
  const end = interrupted();
  note(`The studio stays open, until Ctrl-C: ${url}`);
  await end;
}

/** @throws InputError for a folder or port that can't be served, KofnError if the page has not been built. */
async function open(options: StudioOptions): Promise<Studio> {
  const { startStudio, StudioError } = await import("@kofn/studio").catch((error: unknown) => {
    throw new KofnError(
      `the studio (package @kofn/studio) can't be loaded: ${messageOf(error)}. Install it; in a clone of the repository: npm ci.`,
      { cause: error },
    );
  });
  try {
    return await startStudio(options);
  } catch (error) {
    if (!(error instanceof StudioError)) throw error;
    throw error.reason === "page"
      ? new KofnError(error.message, { cause: error })
      : new InputError(error.message, { cause: error });
  }
}

function portOf(given: string): number {
  const port = readNumber(given);
  if (Number.isInteger(port) && Number(port) >= 0 && Number(port) <= 65535) return Number(port);
  throw new InputError(`--port: expected a whole number from 0 to 65535, got "${given}".`);
}

/** Resolves at Ctrl-C, or when the process is asked to end. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}
