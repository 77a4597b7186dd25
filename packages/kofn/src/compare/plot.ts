/** Error against compression and against packed bytes, as one SVG. */

import { html, type Html } from "../report/html.js";
import { type Published, publishedFor } from "./published.js";
import type { CompareDocument, CompareRow } from "./types.js";

const PANEL = { width: 460, height: 320, left: 56, right: 14, top: 30, bottom: 46 } as const;
const LEGEND = 190;
const COLOURS = [
  "#0b6e99",
  "#c2410c",
  "#15803d",
  "#7e22ce",
  "#b91c1c",
  "#a16207",
  "#0f766e",
  "#4b5563",
  "#be185d",
];

/** A way from values to places on an axis. */
interface Axis {
  readonly at: (value: number) => number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

export function plotOf(document: CompareDocument): string {
  const { model, data, rows } = document;
  const methods = [...new Set(rows.map(({ method }) => method))];
  const published = publishedFor(model, data.name);
  const errors = [
    ...rows.flatMap(({ test: { error } }) => [error.mean - error.std, error.mean + error.std]),
    ...published.map(({ error }) => error),
  ];
  const y = linear(errors, PANEL.height - PANEL.bottom, PANEL.top);
  const panels = [
    panel("weights / kept weights", rows, methods, y, (row) => row.compression, published),
    panel("packed bytes", rows, methods, y, (row) => row.bytesPacked, []),
  ];
  const width = 2 * PANEL.width + LEGEND;
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${width} ${PANEL.height}"
    width="${width}"
    height="${PANEL.height}"
    font-family="sans-serif"
    font-size="12"
  >
    <title>${model} on ${data.name}: test error against compression and against packed bytes</title>
    <rect width="${width}" height="${PANEL.height}" fill="#fff" />
    ${panels.map((one, i) => html`<g transform="translate(${i * PANEL.width} 0)">${one}</g> `)}
    <g transform="translate(${2 * PANEL.width} ${PANEL.top})">${legend(methods, published)}</g>
  </svg> `.text;
}

function panel(
  title: string,
  rows: readonly CompareRow[],
  methods: readonly string[],
  y: Axis,
  of: (row: CompareRow) => number,
  published: readonly Published[],
): Html {
  const { width, height, left, right, top, bottom } = PANEL;
  const values = [...rows.map(of), ...published.map(({ compression }) => compression)];
  const x = logarithmic(values, left + 10, width - right - 10);
  const end = height - bottom;
  return html`<text x="${left}" y="${top - 12}" fill="#111">test error, %</text>
    ${y.ticks.map(({ value, text }) => html`<path d="M${left} ${r(y.at(value))}H${width - right}" stroke="#ddd" /><text x="${left - 6}" y="${r(y.at(value) + 4)}" text-anchor="end" fill="#444">${text}</text>`)}
    ${x.ticks.map(({ value, text }) => html`<path d="M${r(x.at(value))} ${top}V${end}" stroke="#eee" /><text x="${r(x.at(value))}" y="${end + 16}" text-anchor="middle" fill="#444">${text}</text>`)}
    <text x="${(left + width - right) / 2}" y="${end + 36}" text-anchor="middle" fill="#111">${title}</text>
    ${published.map(({ source, compression, error }) => {
      const [cx, cy] = [r(x.at(compression)), r(y.at(error))];
      return html`<path d="M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8" stroke="#111"
        ><title>${source}: ${r(100 * error)} % at ${compression}x, as published</title></path
      >`;
    })}
    ${methods.map((method, i) => {
      const own = rows.filter((row) => row.method === method).sort((a, b) => of(a) - of(b));
      const colour = COLOURS[i % COLOURS.length];
      const line = own.map((row) => `${r(x.at(of(row)))} ${r(y.at(row.test.error.mean))}`).join("L");
      return html`<g stroke="${colour}" fill="${colour}"
        ><path d="M${line}" fill="none" />${own.map((row) => point(row, x.at(of(row)), y))}</g
      >`;
    })}`;
}

function point({ method, budget, test: { error } }: CompareRow, x: number, { at }: Axis): Html {
  const said = `${method}, ${budget}: ${r(100 * error.mean)} % ± ${r(100 * error.std)}`;
  return html`<path d="M${r(x)} ${r(at(error.mean - error.std))}V${r(at(error.mean + error.std))}" /><circle
      cx="${r(x)}"
      cy="${r(at(error.mean))}"
      r="3"
      ><title>${said}</title></circle
    >`;
}

function legend(methods: readonly string[], published: readonly Published[]): Html {
  return html`${methods.map((method, i) => html`<circle cx="6" cy="${18 * i + 4}" r="4" fill="${COLOURS[i % COLOURS.length]}" /><text x="18" y="${18 * i + 8}" fill="#111">${method}</text>`)}${
      published.length === 0
        ? ""
        : html`<path d="M2 ${18 * methods.length}l8 8m0 -8l-8 8" stroke="#111" /><text
              x="18"
              y="${18 * methods.length + 8}"
              fill="#111"
              >published by others</text
            >`
    }<text x="0" y="${18 * (methods.length + 1) + 14}" fill="#444">bars: ± 1 standard deviation</text>`;
}

function linear(values: readonly number[], low: number, high: number): Axis {
  const [least, most] = [Math.max(0, Math.min(...values)), Math.max(...values)];
  const step = niceStep((most - least || most || 0.01) / 5);
  const [from, to] = [Math.floor(least / step) * step, Math.ceil(most / step + 1e-9) * step];
  const count = Math.round((to - from) / step);
  const ticks = Array.from({ length: count + 1 }, (_, i) => from + i * step);
  return {
    at: (value) => low + ((value - from) / (to - from)) * (high - low),
    ticks: ticks.map((value) => ({ value, text: String(Number((100 * value).toPrecision(4))) })),
  };
}

function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * (step / power > 5 ? 10 : step / power > 2 ? 5 : step / power > 1 ? 2 : 1);
}

function logarithmic(values: readonly number[], begin: number, end: number): Axis {
  const [least, most] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const span = most - least || 1;
  const places = values.length === 0 ? [] : ticksBetween(Math.exp(least), Math.exp(most));
  return {
    at: (value) => begin + ((Math.log(value) - least) / span) * (end - begin),
    ticks: places.map((value) => ({ value, text: value >= 1000 ? `${value / 1000}k` : String(value) })),
  };
}

/** 1, 2, 5, 10, ... between two values; of more than two decades the powers of ten alone. */
function ticksBetween(least: number, most: number): number[] {
  const factors = most / least > 100 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(least)); power <= most * 1.001; power *= 10) {
    ticks.push(
      ...factors
        .map((factor) => factor * power)
        .filter((value) => value >= least * 0.999 && value <= most * 1.001),
    );
  }
  return ticks.length > 0 ? ticks : [Math.round(least)];
}

function r(value: number): number {
  return Math.round(100 * value) / 100;
}
