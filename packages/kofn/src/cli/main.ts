/** The command line: parses it, runs a command, and turns what happens into an exit code. */

import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { KofnError, messageOf } from "../errors.js";
import { VERSION } from "../version.js";
import { addBenchCommand } from "./bench.js";
import { addCompareCommand } from "./compare.js";
import { addDataCommand } from "./data.js";
import { addEvalCommand } from "./eval.js";
import { addExportCommand } from "./export.js";
import { addInspectCommand } from "./inspect.js";
import { Interrupted, INTERRUPTED } from "./interrupt.js";
import { addPackCommand } from "./pack.js";
import { addRunCommand } from "./run.js";
import { addStudioCommand } from "./studio.js";
import { note, styled } from "./terminal.js";
import { addTrainCommand } from "./train.js";

const EXAMPLES = `
Examples:
  kofn train lenet-300-100 --data glyphs --prune fc1=weights:40 --prune fc2=weights:30 --out runs/a
  kofn eval runs/a
  kofn inspect runs/a
  kofn pack runs/a -o model.kofn
  kofn run model.kofn photo.jpg
  kofn bench model.kofn
  kofn studio runs
  kofn data get mnist

Each command has a --help of its own.`;

/** The command line's commands, with their options and help. */
export function commands(): Command {
  const program = new Command("kofn")
    .description("Trains and prunes neural networks to exactly k out of n, on onnxruntime.")
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText("after", EXAMPLES);
  addTrainCommand(program);
  addCompareCommand(program);
  addEvalCommand(program);
  addInspectCommand(program);
  addExportCommand(program);
  addPackCommand(program);
  addRunCommand(program);
  addBenchCommand(program);
  addStudioCommand(program);
  addDataCommand(program);
  return program;
}

/**
 * Runs a command line.
 *
 * @param args the arguments, without the names of node and the program.
 * @returns the exit code: 0 done, 1 it failed, 2 the command line, config or input is wrong, 130 interrupted.
 */
export async function main(args: readonly string[]): Promise<number> {
  endQuietlyWhenNobodyReads(process.stdout);
  endQuietlyWhenNobodyReads(process.stderr);
  try {
    await commands().parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  }
}

/** Tells of an error on stderr and gives the exit code for it. */
function exitCodeOf(error: unknown): number {
  // Commander has written its message already; help and version are "errors" with the exit code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Interrupted) {
    note(error.message);
    return INTERRUPTED;
  }
  const prefix = styled("red", "error:", process.stderr);
  const expected = error instanceof KofnError;
  note(`${prefix} ${expected ? "" : "kofn has failed in a way that it should not: "}${messageOf(error)}`);
  if (process.env.KOFN_DEBUG === "1" && error instanceof Error) note(inspect(error));
  else if (!expected) note("Set KOFN_DEBUG=1 to see where.");
  return expected ? error.exitCode : 1;
}

/** A reader that closes the pipe (`kofn ... | head`) is no failure. */
function endQuietlyWhenNobodyReads(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}
