/** The command line that repeats a run. */

import type { Config } from "../options/config.js";

/**
 * The arguments of `kofn` that give a run the settings of a config; undefined if only a file can say them (optimizers given as
 * objects).
 *
 * @example
 * trainArguments({ model: "lenet-5", prune: ["fc1=weights:40"], tau: [5, 0.5] });
 * // ["train", "lenet-5", "--prune", "fc1=weights:40", "--tau", "5:0.5"]
 */
export function trainArguments({ model, out, ...config }: Config): string[] | undefined {
  const options: string[] = [];
  for (const [key, value] of Object.entries(config)) {
    if (value === false) continue;
    if (value === true) options.push(`--${key}`);
    else if (Array.isArray(value)) {
      if (value.every((one) => typeof one === "number")) options.push(`--${key}`, value.join(":"));
      else for (const one of value) options.push(`--${key}`, one);
    } else if (typeof value === "object") return undefined;
    else options.push(`--${key}`, String(value));
  }
  return [
    "train",
    ...(model === undefined ? [] : [model]),
    ...options,
    ...(out === undefined ? [] : ["--out", out]),
  ];
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
