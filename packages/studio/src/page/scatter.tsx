/** Points by a logarithmic x, with their Pareto front; each is a run that a click or Enter opens. */

import { useSignal } from "@preact/signals";
import { percent, percentAxis } from "./format.js";
import type { Point } from "./pareto.js";
import { go } from "./route.js";

export interface Mark extends Point {
  readonly id: string;
  readonly label: string;
}

interface ScatterProps {
  readonly title: string;
  readonly xTitle: string;
  readonly marks: readonly Mark[];
  readonly front: readonly Mark[];
  readonly format: (x: number) => string;
}

const WIDTH = 560;
const HEIGHT = 340;
const BOX = { left: 62, right: WIDTH - 14, top: 12, bottom: HEIGHT - 44 };

export function Scatter({ title, xTitle, marks, front, format }: ScatterProps) {
  const at = useSignal<number | null>(null);
  const sorted = [...marks].sort((one, other) => one.x - other.x || one.y - other.y);
  const onFront = new Set(front.map(({ id }) => id));
  // Those on the front lie over the others.
  const drawn = sorted
    .map((mark, i) => ({ mark, i }))
    .sort((one, other) => Number(onFront.has(one.mark.id)) - Number(onFront.has(other.mark.id)));
  const xs = rangeOf(sorted.map(({ x }) => Math.log(x)));
  const ys = rangeOf(sorted.map(({ y }) => y));
  const left = (x: number): number =>
    BOX.left + ((Math.log(x) - xs[0]) / (xs[1] - xs[0])) * (BOX.right - BOX.left);
  const top = (y: number): number => BOX.bottom - ((y - ys[0]) / (ys[1] - ys[0])) * (BOX.bottom - BOX.top);
  const current = at.value === null ? undefined : sorted.at(at.value);
  const describe = ({ id, label, x, y }: Mark): string =>
    `${label}: ${percent(y)} at ${format(x)}${onFront.has(id) ? ", on the Pareto front" : ""}`;

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && current !== undefined) go({ page: "run", id: current.id });
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || sorted.length === 0) return;
    event.preventDefault();
    const from = at.value ?? (step > 0 ? -1 : sorted.length);
    at.value = Math.min(sorted.length - 1, Math.max(0, from + step));
  };
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-where">{marks.length} runs</span>
      </figcaption>
      <svg
        class="scatter"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        tabindex={0}
        aria-label={`${title}: ${marks.length} runs, ${front.length} on the Pareto front. Left and right arrows move through them, Enter opens one.`}
        onKeyDown={onKeyDown}
      >
        {ticks(ys, false).map((y) => (
          <g key={y} class="tick">
            <line x1={BOX.left} x2={BOX.right} y1={top(y)} y2={top(y)} />
            <text x={BOX.left - 8} y={top(y) + 4} text-anchor="end">
              {percentAxis(y)}
            </text>
          </g>
        ))}
        {ticks(xs, true).map((x) => (
          <g key={x} class="tick">
            <line x1={left(x)} x2={left(x)} y1={BOX.top} y2={BOX.bottom} />
            <text x={left(x)} y={BOX.bottom + 16} text-anchor="middle">
              {format(x).replace(".0", "")}
            </text>
          </g>
        ))}
        <text class="axis" x={(BOX.left + BOX.right) / 2} y={HEIGHT - 8} text-anchor="middle">
          {xTitle}
        </text>
        <polyline class="front" points={front.map(({ x, y }) => `${left(x)},${top(y)}`).join(" ")} />
        {drawn.map(({ mark, i }) => (
          <circle
            key={mark.id}
            class={`mark${onFront.has(mark.id) ? " on-front" : ""}${i === at.value ? " current" : ""}`}
            cx={left(mark.x)}
            cy={top(mark.y)}
            r={onFront.has(mark.id) ? 6 : 5}
            onPointerEnter={() => {
              at.value = i;
            }}
            onClick={() => {
              go({ page: "run", id: mark.id });
            }}
          />
        ))}
      </svg>
      <p class="readout" role="status">
        {current === undefined ? "Point at a run, or use the arrow keys." : describe(current)}
      </p>
    </figure>
  );
}

/** From the least to the most, with some room. */
function rangeOf(values: readonly number[]): readonly [number, number] {
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = high > low ? (high - low) * 0.06 : Math.abs(low) * 0.05 + 0.01;
  return [low - room, high + room];
}

/** Round numbers within a range; those of the logarithmic one are powers of ten, twice and five times these. */
function ticks([low, high]: readonly [number, number], logarithmic: boolean): number[] {
  if (logarithmic) {
    const found: number[] = [];
    for (let power = Math.floor(low / Math.LN10); power <= high / Math.LN10; power++) {
      for (const factor of [1, 2, 5]) {
        const value = factor * 10 ** power;
        if (Math.log(value) >= low && Math.log(value) <= high) found.push(value);
      }
    }
    return found;
  }
  const rough = (high - low) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}
