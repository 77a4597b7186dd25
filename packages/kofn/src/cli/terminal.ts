/** What commands write: results on stdout, everything else on stderr, with colour only where a terminal shows it. */

import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Writes a line of the result. */
export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** Writes the one JSON document that `--json` promises. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** Writes a line about how the work goes. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Whether a stream shows colours: a terminal, and NO_COLOR (https://no-color.org) is not set. */
function hasColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb";
}

/** The text in a style, if the stream shows styles. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return hasColour(stream) ? styleText(style, text, { validateStream: false }) : text;
}

export interface Column {
  readonly title: string;
  /** Default "left". */
  readonly align?: "left" | "right";
}

/** Rows of cells as aligned lines, the titles first. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (columns[i].align === "right" ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [styled("bold", line(columns.map(({ title }) => title))), ...rows.map(line)];
}
