/** Writes numbers and Markdown tables that also read well as plain text. */

/** @typedef {import("./internals.js").Summary} Summary */

/**
 * Three significant digits, without an exponent.
 *
 * @param {number} value
 * @returns {string}
 */
export function digits(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/**
 * "median [first quartile, third quartile; best]"
 *
 * @param {Summary} summary
 * @returns {string}
 */
export function spread({ median, low, high, best }) {
  return `${digits(median)} [${digits(low)}, ${digits(high)}; ${digits(best)}]`;
}

/**
 * A Markdown table with aligned columns.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 * @returns {string}
 */
export function table(head, rows) {
  const widths = head.map((name, i) => Math.max(3, name.length, ...rows.map((row) => row[i].length)));
  /** @param {readonly string[]} cells */
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
