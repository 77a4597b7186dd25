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

const BARS = "▁▂▃▄▅▆▇█";

/**
 * Values as a line of bars, from their smallest to their largest, with the first and the last in digits; of many values, every so
 * many.
 *
 * @example
 * sparkline([0.1, 0.5, 0.9]); // "0.10 ▁▅█ 0.90"
 */
export function sparkline(values: readonly number[], most = 24): string {
  if (values.length === 0) return "";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const count = Math.min(values.length, most);
  const bars = Array.from({ length: count }, (_, i) => {
    const value = values[count === 1 ? 0 : Math.round((i * (values.length - 1)) / (count - 1))];
    const height = high === low ? 0 : (value - low) / (high - low);
    return BARS[Math.round(height * (BARS.length - 1))];
  });
  return `${values[0].toFixed(2)} ${bars.join("")} ${values[values.length - 1].toFixed(2)}`;
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
