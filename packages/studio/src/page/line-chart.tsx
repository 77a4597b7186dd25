/** A chart of lines over epochs, with a legend that shows the values at the cursor, for mouse and keyboard. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colourOf, dark, dashOf } from "./palette.js";

export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** Which of the palette's colours and dashes. */
  readonly style: number;
  /** Measured by the axis on the right. */
  readonly right?: boolean;
}

interface LineChartProps {
  readonly title: string;
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** Of the axis on the left. Default: `format`. */
  readonly formatAxis?: (value: number) => string;
  /** Of the axis on the right, where lines have it. */
  readonly formatRight?: (value: number) => string;
  readonly height?: number;
  /** Of the axis on the left: where it begins and ends. Default: where the values do. */
  readonly range?: readonly [number, number];
}

const HEIGHT = 200;
/** uPlot's name for it is a constant enum, of which only the type can be imported. */
const RIGHT_SIDE: unknown = 1;
const FONT = "11px system-ui, sans-serif";

export function LineChart(props: LineChartProps) {
  const { title, x, lines, format, formatRight = format } = props;
  const cursor = useSignal<number | null>(null);
  const holder = useRef<HTMLDivElement>(null);
  const chart = usePlot(holder, props, cursor);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || x.length === 0) return;
    event.preventDefault();
    const from = cursor.value ?? (step > 0 ? -1 : x.length);
    const to = Math.min(x.length - 1, Math.max(0, from + step));
    cursor.value = to;
    chart.current?.setCursor({ left: chart.current.valToPos(x[to], "x"), top: 0 });
  };

  const at = cursor.value !== null && cursor.value < x.length ? cursor.value : null;
  const told = lines.map(({ label, values, right }) => {
    const value = at === null ? values.findLast((each) => each !== null) : values[at];
    const shown = right === true ? formatRight : format;
    return { label, value: typeof value === "number" ? shown(value) : "–" };
  });
  const where = at === null ? "newest values" : `epoch ${x[at]}`;
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-where">{where}</span>
      </figcaption>
      <ul class="legend">
        {told.map(({ label, value }, i) => (
          <li key={label}>
            <Swatch style={lines[i].style} />
            <span class="legend-label">{label}</span> <b>{value}</b>
          </li>
        ))}
      </ul>
      <div
        class="plot"
        ref={holder}
        role="img"
        tabIndex={0}
        aria-label={`${title}, ${where}: ${told.map(({ label, value }) => `${label} ${value}`).join(", ")}. Left and right arrows move through the epochs.`}
        onKeyDown={onKeyDown}
      />
      <span class="unseen" role="status">
        {cursor.value === null
          ? ""
          : `${where}: ${told.map(({ label, value }) => `${label} ${value}`).join(", ")}`}
      </span>
    </figure>
  );
}

/** A piece of a line, as the legend shows it. */
export function Swatch({ style }: { readonly style: number }) {
  return (
    <svg class="swatch" width="22" height="8" aria-hidden="true">
      <line
        x1="0"
        x2="22"
        y1="4"
        y2="4"
        stroke={colourOf(style)}
        stroke-width="3"
        stroke-dasharray={dashOf(style).join(" ")}
      />
    </svg>
  );
}

/** Keeps a uPlot in the holder: made anew when its lines or colours change, else given new data. */
function usePlot(
  holder: { readonly current: HTMLDivElement | null },
  props: LineChartProps,
  cursor: Signal<number | null>,
): { current: uPlot | undefined } {
  const plot = useRef<uPlot | undefined>(undefined);
  const { x, lines, height = HEIGHT } = props;
  const shape = JSON.stringify([
    dark.value,
    height,
    lines.map(({ label, style, right }) => [label, style, right]),
  ]);
  const data = [x, ...lines.map(({ values }) => values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(props, element, cursor), data, element);
    plot.current = made;
    const resized = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => {
    if (plot.current !== undefined && plot.current.data !== data) plot.current.setData(data);
  }, [x, ...lines.map(({ values }) => values)]);
  return plot;
}

function optionsOf(
  { lines, format, formatAxis = format, formatRight = format, height = HEIGHT, range }: LineChartProps,
  element: HTMLElement,
  cursor: Signal<number | null>,
): uPlot.Options {
  const style = getComputedStyle(element);
  const ink = style.getPropertyValue("--quiet");
  const grid = { stroke: style.getPropertyValue("--rule"), width: 1 };
  const axis = { stroke: ink, font: FONT, grid, ticks: { show: false } };
  const hasRight = lines.some(({ right }) => right === true);
  const y = (scale: string, show: (value: number) => string): uPlot.Axis => ({
    ...axis,
    scale,
    size: 58,
    values: (_, splits) => splits.map((value) => show(value)),
  });
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      ...(range === undefined ? {} : { y: { range: [range[0], range[1]] } }),
    },
    axes: [
      { ...axis, size: 26, incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000, 10_000] },
      y("y", formatAxis),
      ...(hasRight
        ? [{ ...y("right", formatRight), side: RIGHT_SIDE as uPlot.Axis.Side, grid: { show: false } }]
        : []),
    ],
    series: [
      {},
      ...lines.map(({ label, style: number, right }) => ({
        label,
        scale: right === true ? "right" : "y",
        stroke: colourOf(number),
        width: 2,
        dash: [...dashOf(number)],
        points: { show: lines.every(({ values }) => values.length < 3) },
      })),
    ],
    hooks: {
      setCursor: [
        ({ cursor: { idx } }) => {
          cursor.value = idx ?? null;
        },
      ],
    },
  };
}
