/**
 * The tables of options in docs/cli.md are those of the commands: each stands below a line `<!-- options of kofn COMMAND -->`.
 * `npm run docs:options` writes them.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/main.js";

const PAGE = fileURLToPath(new URL("../../../../docs/cli.md", import.meta.url));

function commandAt(path: string): Command {
  return path.split(" ").reduce((parent, name) => {
    const found = parent.commands.find((command) => command.name() === name);
    if (found === undefined) throw new Error(`kofn has no command ${path}`);
    return found;
  }, commands());
}

function tableOf(command: Command): string {
  const rows = command.options.map(({ flags, description }) => `| \`${flags}\` | ${description} |\n`);
  return `| option | |\n|---|---|\n${rows.join("")}`;
}

test("docs/cli.md has the options of the commands", async () => {
  const written = /(<!-- options of kofn (.*) -->\n\n)(?:\|.*\n)*/g;
  const page = await readFile(PAGE, "utf8");
  const paths = [...page.matchAll(written)].map(([, , path]) => path);
  expect(paths).toEqual(["train", "eval", "inspect", "run", "bench", "studio", "data list", "data get"]);
  const now = page.replace(written, (_, head: string, path: string) => head + tableOf(commandAt(path)));
  await expect(now).toMatchFileSnapshot(PAGE);
});
