/** How many units the sampler includes how surely: bars from probability 0 to 1, on a logarithmic scale. */

import { whole } from "./format.js";

const WIDTH = 400;
const HEIGHT = 110;
const BASE = 92;

export function Histogram({ counts }: { readonly counts: readonly number[] }) {
  const most = Math.max(1, ...counts);
  const height = (count: number): number =>
    count === 0 ? 0 : 3 + ((BASE - 6) * Math.log(count)) / Math.log(most + 1);
  const step = WIDTH / counts.length;
  const certain = (counts[0] ?? 0) + (counts.at(-1) ?? 0);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">Inclusion probability</span>
        <span class="chart-where">units, logarithmic</span>
      </figcaption>
      <svg
        class="histogram"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Inclusion probabilities of ${whole(total)} units: ${whole(certain)} are below ${(1 / counts.length).toFixed(2)} or above ${(1 - 1 / counts.length).toFixed(2)}.`}
      >
        {counts.map((count, i) => (
          <rect key={i} x={i * step + 1} y={BASE - height(count)} width={step - 2} height={height(count)}>
            <title>{`${(i / counts.length).toFixed(2)} to ${((i + 1) / counts.length).toFixed(2)}: ${whole(count)}`}</title>
          </rect>
        ))}
        <line x1="0" x2={WIDTH} y1={BASE} y2={BASE} />
        <text x="0" y={HEIGHT - 3}>
          0
        </text>
        <text x={WIDTH / 2} y={HEIGHT - 3} text-anchor="middle">
          0.5
        </text>
        <text x={WIDTH} y={HEIGHT - 3} text-anchor="end">
          1
        </text>
      </svg>
    </figure>
  );
}
