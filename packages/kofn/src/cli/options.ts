/** The options of the table on the command line: their flags and help, and what was given as a config. */

import type { Provider } from "@kofn/format/run/words.js";
import type { Command } from "commander";
import { InputError } from "../errors.js";
import { checkConfig, type Config } from "../options/config.js";
import { readNumber } from "../options/kinds.js";
import type { Option } from "../options/option.js";
import { OPTIONS } from "../options/table.js";

/** Gives a command all options of the table. */
export function addTableOptions(command: Command): Command {
  for (const [key, row] of OPTIONS) {
    if (row.help === undefined) continue;
    const flags = row.value === undefined ? `--${key}` : `--${key} ${row.value}`;
    const help = row.help + defaultOf(row);
    if (row.kind.many === true) command.option(flags, help, collect);
    else command.option(flags, help);
  }
  return command;
}

/** " (default: 20; 15 for an .onnx file)" */
function defaultOf(row: Option): string {
  const [fresh, pretrained] = [row.default, row.pretrained].map((value) =>
    value === undefined ? undefined : row.kind.write(value)?.join(),
  );
  const said =
    row.otherwise ?? (fresh === pretrained ? fresh : `${fresh ?? ""}; ${pretrained ?? ""} for an .onnx file`);
  return said === undefined ? "" : ` (default: ${said})`;
}

/**
 * The options that were given to a command and are keys of a config, checked.
 *
 * @throws InputError naming the option whose value is wrong.
 */
export function configOfOptions(command: Command): Config {
  const values: Record<string, unknown> = {};
  for (const option of command.options) {
    const key = option.name();
    const given: unknown = command.getOptionValue(option.attributeName());
    const row = OPTIONS.get(key);
    if (given === undefined || row === undefined) continue;
    values[key] = typeof given === "string" ? row.kind.read(given) : given;
  }
  const checked = checkConfig(values);
  if ("config" in checked) return checked.config;
  const { path, message } = checked.problem;
  throw new InputError(`--${String(path[0])}: ${message}.`);
}
/** For an option that may be given several times: gathers its values. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/**
 * A whole number that was given to an option; undefined if none was.
 *
 * @throws InputError if it is no whole number, or below the least.
 */
export function countOption(name: string, given: string | undefined, least = 1): number | undefined {
  if (given === undefined) return undefined;
  const count = readNumber(given);
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= least) return count;
  throw new InputError(`${name}: expected a whole number of at least ${least}, got "${given}".`);
}

/** @throws InputError for a provider that this version does not run. */
export function checkProvider(provider: Provider | undefined): void {
  if (provider === "webgpu" || provider === "cuda") {
    throw new InputError(`--provider ${provider}: this version of kofn runs on cpu and wasm.`);
  }
}
