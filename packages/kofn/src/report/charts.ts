/** Charts as inline SVG, each with a text that says what it shows and a table of its data. */

import { type Content, html, type Html, table } from "./html.js";

/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** One value per epoch; undefined where there is none. */
  readonly values: readonly (number | undefined)[];
}

export interface LineChart {
  readonly title: string;
  /** The numbers of the epochs. */
  readonly epochs: readonly number[];
  readonly series: readonly Series[];
  /** Writes a value, on the axis and in the table. */
  readonly format: (value: number) => string;
  /** What the axis is to hold at least. Default: what the values need. */
  readonly range?: readonly [number, number];
}

const WIDTH = 440;
const HEIGHT = 230;
const PLOT = { left: 62, right: WIDTH - 12, top: 12, bottom: HEIGHT - 38 } as const;

/** So many lines have a colour and a dash of their own; more are drawn alike, with their mean. */
const MOST_LINES = 8;
/** Points and cells of all lines of a chart together, so that the page stays small however long a run is. */
const MOST_POINTS = 2500;
const MOST_CELLS = 800;

/** A figure with a chart of lines over epochs. */
export function lineChart({ title, epochs, series, format, range }: LineChart): Html {
  const shown = series.filter(({ values }) => values.some((value) => value !== undefined));
  if (shown.length === 0) return html``;
  const all = shown.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const ticks = niceTicks(
    Math.min(...(range ?? []), smallest(all)),
    Math.max(...(range ?? []), -smallest(all.map((value) => -value))),
  );
  const y = scale(ticks[0], ticks[ticks.length - 1], PLOT.bottom, PLOT.top);
  const x = scale(epochs[0], epochs[epochs.length - 1], PLOT.left, PLOT.right);
  const crowd = shown.length > MOST_LINES;
  const lines = crowd ? [...shown, meanOf(shown)] : shown;
  const points = sample(epochs.length, Math.max(30, Math.floor(MOST_POINTS / lines.length)));
  const style = (i: number): string =>
    crowd ? (i === shown.length ? "line mean" : "line one-of-many") : `line s${i}`;
  const drawn = lines.map(({ name, values }, i) => {
    const places = points.flatMap((at) => {
      const value = values[at];
      return value === undefined ? [] : [[x(epochs[at]), y(value)] as const];
    });
    const dots = places.length <= 12 && !crowd ? places : [];
    return html`<g class="${style(i)}"
      ><title>${name}</title><path d="${path(places)}" />${dots.map(
        ([cx, cy]) => html`<circle cx="${round(cx)}" cy="${round(cy)}" r="2.5" />`,
      )}</g
    >`;
  });
  const steps = wholeTicks(epochs[0], epochs[epochs.length - 1]);
  const legend = crowd
    ? html`<p class="legend">
        <span>${sampleLine("line one-of-many")} each of ${shown.length} layers</span>
        <span>${sampleLine("line mean")} their mean</span>
      </p>`
    : shown.length === 1
      ? ""
      : html`<p class="legend">
          ${shown.map(({ name }, i) => html`<span>${sampleLine(style(i))} ${name}</span> `)}
        </p>`;
  const kept = sample(epochs.length, Math.max(12, Math.floor(MOST_CELLS / shown.length)));
  const rest = kept.length < epochs.length ? ` (${kept.length} of ${epochs.length} epochs)` : "";
  return html`<figure>
    <figcaption>${title}</figcaption>
    <svg role="img" aria-label="${described(title, epochs, lines, format)}" viewBox="0 0 ${WIDTH} ${HEIGHT}">
      ${ticks.map(
        (tick) =>
          html`<path class="grid" d="M${PLOT.left} ${round(y(tick))}H${PLOT.right}" /><text
              x="${PLOT.left - 6}"
              y="${round(y(tick) + 4)}"
              text-anchor="end"
              >${format(tick)}</text
            >`,
      )}
      ${steps.map((step) => html`<text x="${round(x(step))}" y="${PLOT.bottom + 17}" text-anchor="middle">${step}</text>`)}
      <text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 5}" text-anchor="middle">epoch</text>
      <path class="axis" d="M${PLOT.left} ${PLOT.bottom}H${PLOT.right}" />
      ${drawn}
    </svg>
    ${legend}
    <details>
      <summary>Data: ${title}</summary>
      ${table(
        title + rest,
        [
          { title: "epoch", numeric: true },
          ...shown.map(({ name }) => ({ title: name, numeric: true as const })),
        ],
        kept.map((at) => [
          epochs[at],
          ...shown.map(({ values }) => {
            const value = values[at];
            return value === undefined ? "" : format(value);
          }),
        ]),
      )}
    </details>
  </figure> `;
}

/** One line of text on what a chart shows, for who can't see it. */
function described(
  title: string,
  epochs: readonly number[],
  lines: readonly Series[],
  format: (value: number) => string,
): string {
  const told = lines.length > MOST_LINES ? lines.slice(-1) : lines;
  const parts = told.map(({ name, values }) => {
    const known = values.filter((value) => value !== undefined);
    return `${name} from ${format(known[0])} to ${format(known[known.length - 1])}`;
  });
  return `Line chart: ${title}, epochs ${epochs[0]} to ${epochs[epochs.length - 1]}. ${parts.join("; ")}.`;
}

function meanOf(series: readonly Series[]): Series {
  const values = series[0].values.map((_, at) => {
    const known = series.map((one) => one.values[at]).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
  });
  return { name: "mean of all layers", values };
}

function sampleLine(style: string): Html {
  return html`<svg class="sample" aria-hidden="true" viewBox="0 0 30 10">
    <g class="${style}"><path d="M0 5H30" /></g>
  </svg>`;
}

/** A small line without axes, for a cell of a table. */
export function sparkline(values: readonly number[]): Html {
  const points = sample(values.length, 60);
  const x = scale(0, values.length - 1, 2, 88);
  const y = scale(0, 1, 18, 2);
  const places = points.map((at) => [x(at), y(values[at])] as const);
  return html`<svg class="spark" aria-hidden="true" viewBox="0 0 90 20">
    <g class="line s0"><path d="${path(places)}" /></g>
  </svg>`;
}

/** A figure with a histogram over [0, 1]; the counts are drawn on a logarithmic scale. */
export function histogram(title: string, counts: readonly number[]): Html {
  const [width, height] = [210, 110];
  const plot = { left: 8, right: width - 8, top: 16, bottom: height - 22 };
  const most = Math.max(...counts);
  const step = (plot.right - plot.left) / counts.length;
  const y = (count: number): number =>
    plot.bottom - ((plot.bottom - plot.top) * Math.log1p(count)) / Math.log1p(most);
  const bars = counts.flatMap((count, i) =>
    count === 0
      ? []
      : [
          `M${round(plot.left + i * step + 0.5)} ${plot.bottom}V${round(y(count))}h${round(step - 1)}V${plot.bottom}z`,
        ],
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const share = (count: number): string => `${((100 * count) / total).toFixed(1)} %`;
  const [none, all] = [counts[0], counts[counts.length - 1]];
  const middle = total - none - all;
  const text = `Histogram: ${title}. ${share(none)} of the units below ${1 / counts.length}, ${share(all)} above ${1 - 1 / counts.length}, ${share(middle)} between.`;
  return html`<figure class="small">
    <figcaption>${title}</figcaption>
    <svg role="img" aria-label="${text}" viewBox="0 0 ${width} ${height}">
      <path class="bars" d="${bars.join("")}" />
      <path class="axis" d="M${plot.left} ${plot.bottom}H${plot.right}" />
      ${[0, 0.5, 1].map((at) => html`<text x="${plot.left + at * (plot.right - plot.left)}" y="${height - 6}" text-anchor="${at === 0 ? "start" : at === 1 ? "end" : "middle"}">${at}</text>`)}
    </svg>
    <p class="note">${share(middle)} of the units undecided</p>
  </figure> `;
}

/** A figure with horizontal bars from 0. */
export function barChart(
  title: string,
  bars: readonly { readonly name: string; readonly value: number }[],
  format: (value: number) => string,
): Html {
  const most = Math.max(...bars.map(({ value }) => value));
  const text = bars.map(({ name, value }) => `${name} ${format(value)}`).join("; ");
  const row = 30;
  const rows: Content = bars.map(({ name, value }, i) => {
    const length = most === 0 ? 0 : (value / most) * (WIDTH - 190);
    return html`<text x="92" y="${i * row + 20}" text-anchor="end">${name}</text
      ><rect class="bars" x="100" y="${i * row + 5}" width="${round(length)}" height="20" /><text
        x="${round(106 + length)}"
        y="${i * row + 20}"
        >${format(value)}</text
      >`;
  });
  return html`<figure>
    <figcaption>${title}</figcaption>
    <svg
      role="img"
      aria-label="${`Bar chart: ${title}. ${text}.`}"
      viewBox="0 0 ${WIDTH} ${bars.length * row}"
    >
      ${rows}
    </svg>
  </figure> `;
}

/** Linear from [from, to] to [low, high]; the middle where from = to. */
function scale(from: number, to: number, low: number, high: number): (value: number) => number {
  return (value) => (from === to ? (low + high) / 2 : low + ((value - from) / (to - from)) * (high - low));
}

function round(value: number): string {
  return String(Math.round(10 * value) / 10);
}

function path(places: readonly (readonly [number, number])[]): string {
  return places.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}

/** At most `most` of the indices below `count`, evenly spread, the first and the last among them. */
function sample(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (count - 1)) / (most - 1)));
}

function smallest(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity);
}

/** Four to six round numbers from below `from` to above `to`. */
export function niceTicks(from: number, to: number): number[] {
  const span = to > from ? to - from : Math.abs(from) || 1;
  const raw = span / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** A few of the whole numbers from `from` to `to`, both among them. */
function wholeTicks(from: number, to: number): number[] {
  return [...new Set(sample(to - from + 1, 6).map((i) => from + i))];
}
