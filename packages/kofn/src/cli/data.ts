/** `kofn data`: lists the data sets, and downloads them. */

import type { Command } from "commander";
import { type DownloadProgress, getDataset, listDatasets } from "../datasets/download.js";
import { createLogUpdate } from "log-update";
import { bytes } from "../figures.js";
import { interruptible } from "./interrupt.js";
import { note, print, printJson, table } from "./terminal.js";

const EXAMPLES = `
Examples:
  kofn data list
  kofn data get mnist`;

const LIST_EXAMPLES = `
Examples:
  kofn data list
  kofn data list --data-dir data/mnist --json`;

const GET_EXAMPLES = `
Examples:
  kofn data get mnist
  kofn data get cifar10 --data-dir data/cifar10
  kofn data get fashion-mnist --mirror http://localhost:8000/fashion-mnist`;

interface ListFlags {
  readonly dataDir?: string;
  readonly json?: true;
}

interface GetFlags extends ListFlags {
  readonly mirror?: string;
}

export function addDataCommand(program: Command): void {
  const data = program
    .command("data")
    .summary("list and download data sets")
    .description("Lists the data sets that kofn knows, and downloads them.")
    .addHelpText("after", EXAMPLES);
  data
    .command("list")
    .summary("list the data sets")
    .description("Lists the data sets, and which of them are on this machine.")
    .option("--data-dir <dir>", "look in this folder (default: $KOFN_DATA, else the user's cache folder)")
    .option("--json", "print the list as JSON")
    .addHelpText("after", LIST_EXAMPLES)
    .action(listCommand);
  data
    .command("get")
    .summary("download a data set")
    .description(
      "Downloads the files of a data set that are missing, goes on with what was interrupted, and checks them.",
    )
    .argument("<name>", "name of the data set (see kofn data list)")
    .option(
      "--data-dir <dir>",
      "folder for the files (default: in $KOFN_DATA, else in the user's cache folder)",
    )
    .option("--mirror <url>", "download from a folder with the same files at this URL")
    .option("--json", "print the result as JSON")
    .addHelpText("after", GET_EXAMPLES)
    .action(getCommand);
}

async function listCommand({ dataDir, json }: ListFlags): Promise<void> {
  const found = await listDatasets(dataDir === undefined ? {} : { dir: dataDir });
  if (json === true) {
    printJson(found);
    return;
  }
  const rows = found.map(({ name, title, size, complete, partial, dir }) => [
    name,
    title,
    bytes(size),
    complete ? "here" : partial ? "in part" : "missing",
    dir,
  ]);
  const columns = [
    { title: "name" },
    { title: "title" },
    { title: "download", align: "right" as const },
    { title: "state" },
    { title: "folder" },
  ];
  for (const line of table(columns, [["glyphs", "Digits drawn by kofn", "", "built in", ""], ...rows]))
    print(line);
}

async function getCommand(name: string, { dataDir, mirror, json }: GetFlags): Promise<void> {
  const live = process.stderr.isTTY ? createLogUpdate(process.stderr) : undefined;
  const result = await interruptible(
    (signal) =>
      getDataset(name, {
        ...(dataDir === undefined ? {} : { dir: dataDir }),
        ...(mirror === undefined ? {} : { mirror }),
        signal,
        onProgress: (progress) => live?.(downloadLine(progress)),
      }),
    () => "what has arrived is kept; the same command goes on from there.",
  ).finally(() => live?.clear());
  for (const file of result.files) note(`${file.name}: ${file.state}`);
  if (json === true) printJson(result);
  else print(`${result.name} is in ${result.dir}`);
}

function downloadLine({ file, index, files, received, total }: DownloadProgress): string {
  return `${file} (${index} of ${files})  ${bytes(received)} of ${bytes(total)}`;
}
