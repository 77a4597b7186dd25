/** The rows of a comparison as CSV and as Markdown. */

import { percent, whole } from "../figures.js";
import type { CompareDocument, CompareRow } from "./types.js";

const CSV_COLUMNS: readonly [title: string, of: (row: CompareRow) => string | number][] = [
  ["method", ({ method }) => method],
  ["budget", ({ budget }) => budget],
  ["seeds", ({ seeds }) => seeds.join(" ")],
  ["weights", ({ weights }) => weights],
  ["kept", ({ kept }) => kept],
  ["compression", ({ compression }) => compression],
  ["macs_kept", ({ macsKept }) => macsKept],
  ["bytes_packed", ({ bytesPacked }) => bytesPacked],
  ["latency_us", ({ latencyUs }) => latencyUs ?? ""],
  ["seconds", ({ seconds }) => seconds],
  ["validation_error_mean", ({ validation }) => validation.error.mean],
  ["validation_error_std", ({ validation }) => validation.error.std],
  ["test_error_mean", ({ test }) => test.error.mean],
  ["test_error_std", ({ test }) => test.error.std],
];

/** RFC 4180, with a header. */
export function csvOf({ rows }: CompareDocument): string {
  const lines = rows.map((row) => CSV_COLUMNS.map(([, of]) => field(String(of(row)))));
  return [CSV_COLUMNS.map(([title]) => title), ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const TABLE_COLUMNS: readonly {
  readonly title: string;
  readonly align: "left" | "right";
  readonly of: (row: CompareRow) => string;
}[] = [
  { title: "budget", align: "left", of: ({ budget }) => budget },
  { title: "method", align: "left", of: ({ method }) => method },
  { title: "runs", align: "right", of: ({ seeds }) => String(seeds.length) },
  { title: "test error", align: "right", of: ({ test }) => spread(test.error) },
  { title: "validation error", align: "right", of: ({ validation }) => spread(validation.error) },
  { title: "kept", align: "right", of: ({ kept }) => whole(Math.round(kept)) },
  { title: "compression", align: "right", of: ({ compression }) => `${compression.toFixed(1)}x` },
  { title: "MACs", align: "right", of: ({ macsKept }) => whole(Math.round(macsKept)) },
  { title: "packed bytes", align: "right", of: ({ bytesPacked }) => whole(Math.round(bytesPacked)) },
  {
    title: "us a sample",
    align: "right",
    of: ({ latencyUs }) => (latencyUs === null ? "none" : latencyUs.toPrecision(3)),
  },
  { title: "s to train", align: "right", of: ({ seconds }) => seconds.toFixed(1) },
];

/** "1.86 % ± 0.04" */
function spread({ mean, std }: CompareRow["test"]["error"]): string {
  return `${percent(mean)} ± ${(100 * std).toFixed(2)}`;
}

/** Rows by budget, and in each the smallest test error first. */
export function sorted({ rows }: CompareDocument): CompareRow[] {
  const budgets = [...new Set(rows.map(({ budget }) => budget))];
  return budgets.flatMap((budget) =>
    rows.filter((row) => row.budget === budget).sort((a, b) => a.test.error.mean - b.test.error.mean),
  );
}

/** @param command the command that repeats the comparison. */
export function markdownOf(document: CompareDocument, command: string): string {
  const { model, data, pairs } = document;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = TABLE_COLUMNS.map(({ align }) => (align === "right" ? "--:" : "---"));
  const rows = sorted(document).map((row) => TABLE_COLUMNS.map(({ of }) => of(row)));
  const wins = pairs.map(({ budget, a, b, wins, ties, losses }) =>
    [budget, a, b, wins, ties, losses].map(String),
  );
  return [
    `# ${model} on ${data.name}`,
    "",
    "Errors are means over the runs ± their standard deviation; validation chose the epoch, the test split was looked at once in each run.",
    "Time for a sample in @kofn/runtime, one thread, of the first seed's run.",
    "",
    line(TABLE_COLUMNS.map(({ title }) => title)),
    line(rule),
    ...rows.map(line),
    ...(wins.length === 0
      ? []
      : [
          "",
          "Seed by seed, which has the smaller test error:",
          "",
          line(["budget", "a", "b", "a", "neither", "b"]),
          line(["---", "---", "---", "--:", "--:", "--:"]),
          ...wins.map(line),
        ]),
    "",
    ...command.split("\n").map((one) => `    ${one}`),
    "",
  ].join("\n");
}
