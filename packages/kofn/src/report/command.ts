/** The command line that repeats a run. */

import type { Config } from "../options/config.js";
import { OPTIONS } from "../options/table.js";

/**
 * The arguments of `kofn` that give a run the settings of a config; undefined if only a file can say them (optimizers given as
 * objects).
 *
 * @example
 * trainArguments({ model: "lenet-5", prune: ["fc1=weights:40"], tau: [5, 0.5] });
 * // ["train", "lenet-5", "--prune", "fc1=weights:40", "--tau", "5:0.5"]
 */
export function trainArguments({ model, out, ...config }: Config): string[] | undefined {
  const options = Object.entries(config).map(([key, value]) => optionArguments(key, value));
  if (!options.every((one) => one !== undefined)) return undefined;
  return [
    "train",
    ...(model === undefined ? [] : [model]),
    ...options.flat(),
    ...(out === undefined ? [] : ["--out", out]),
  ];
}

/** The arguments that give an option a value; undefined if only a file can. */
function optionArguments(key: string, value: unknown): string[] | undefined {
  const row = OPTIONS.get(key);
  if (row?.help === undefined) return undefined;
  if (row.value === undefined) return value === true ? [`--${key}`] : [];
  return row.kind.write(value)?.flatMap((text) => [`--${key}`, text]);
}

/** An argument as a POSIX shell takes it. */
export function quoted(argument: string): string {
  return /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/**
 * A command for a POSIX shell, an option a line.
 *
 * @example
 * shellCommand(["train", "lenet-5", "--epochs", "3"]); // "kofn train lenet-5 \\\n  --epochs 3"
 */
export function shellCommand(commandArguments: readonly string[]): string {
  const words = commandArguments.map(quoted);
  return words.reduce(
    (text, word, i) => text + (commandArguments[i].startsWith("--") ? " \\\n  " : " ") + word,
    "kofn",
  );
}
