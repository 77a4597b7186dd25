/** The part of report.html on masks: how sure and how different they are, what they look like, and inclusion probabilities. */

import type { EpochMetrics, LayerReport, MaskMetrics, Report } from "@kofn/format/run/types.js";
import { percent, whole } from "../figures.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import { histogram, lineChart, sparkline } from "./charts.js";
import { type Html, html, table } from "./html.js";
import { pngUri } from "./png.js";
import { kOfN } from "./text.js";

/** Up to so many pictures are large. */
const FEW = 4;
const BLUE = [0, 114, 178] as const;

/** The figures of the masks that a run ends with; nothing of a run without. */
export function maskTable(layers: readonly LayerReport[], metrics: readonly EpochMetrics[]): Html {
  const masks = onePerMask(layers);
  if (masks.length === 0) return html``;
  const decimals = (value: number | undefined): string => value?.toFixed(3) ?? "";
  const confidences = (name: string): number[] =>
    metrics.flatMap((line) => line.layers?.find((mask) => mask.name === name)?.confidence ?? []);
  const numeric = (title: string) => ({ title, numeric: true as const });
  return html`${table(
      "The masks that the run ends with",
      [
        { title: "layer" },
        numeric("confidence"),
        { title: "over time" },
        numeric("diversity"),
        numeric("softmax confidence"),
        numeric("Jensen-Shannon"),
        numeric("as by magnitude"),
        numeric("never chosen"),
      ],
      masks.map((layer) => [
        layer.name,
        decimals(layer.confidence),
        sparkline(confidences(layer.name)),
        decimals(layer.diversity),
        decimals(layer.softmaxConfidence),
        decimals(layer.jensenShannon),
        layer.overlapMagnitude === undefined ? "" : percent(layer.overlapMagnitude),
        layer.neverChosen === undefined
          ? ""
          : `${whole(layer.neverChosen)} (${percent(layer.neverChosen / (layer.groups * layer.n))})`,
      ]),
    )}
    <p class="note">
      Confidence: 0 where any unit is as likely kept as another, 1 where the mask is certain. Diversity: 0
      where all groups choose alike, up to the confidence where they choose differently. Softmax confidence
      and Jensen-Shannon: the same of the logits' softmax, in units of log n. As by magnitude: the kept units
      that the largest weights would keep, too. Never chosen: units that the mask of no epoch has kept.
    </p>`;
}

/** The layers without those that share the mask of another. */
function onePerMask(layers: readonly LayerReport[]): LayerReport[] {
  return layers.filter(({ name, group }) => group === undefined || group === name);
}

/** Nothing of a run without masks. */
export function maskSections({
  report,
  metrics,
  heatmaps,
}: {
  readonly report: Report;
  readonly metrics: readonly EpochMetrics[];
  readonly heatmaps: readonly Heatmap[];
}): Html {
  const masks = onePerMask(report.layers);
  if (masks.length === 0) return html``;
  return html`${overTime(metrics)} ${pictures(masks, heatmaps)} ${probabilities(masks)}`;
}

function overTime(metrics: readonly EpochMetrics[]): Html {
  const lines = metrics.flatMap(({ epoch, layers }) => (layers === undefined ? [] : [{ epoch, layers }]));
  if (lines.length === 0) return html``;
  const epochs = lines.map(({ epoch }) => epoch);
  const names = lines[lines.length - 1].layers.map(({ name }) => name);
  const chart = (
    title: string,
    of: (mask: MaskMetrics) => number,
    format: (value: number) => string = (value) => value.toFixed(2),
  ): Html => {
    const series = names.map((name) => ({
      name,
      values: lines.map(({ layers }) => {
        const mask = layers.find((layer) => layer.name === name);
        return mask === undefined ? undefined : of(mask);
      }),
    }));
    return lineChart({ title, epochs, series, format, range: [0, 1] });
  };
  const share = (value: number): string => `${(100 * value).toFixed(0)} %`;
  return html`<section>
    <h2>Masks over time</h2>
    <div class="charts">
      ${chart("Confidence", ({ confidence }) => confidence)}
      ${chart("Diversity", ({ diversity }) => diversity)}
      ${chart("Churn: units replaced since the epoch before", ({ churn }) => churn, share)}
      ${chart("Overlap with the largest weights", ({ overlapMagnitude }) => overlapMagnitude, share)}
    </div>
  </section>`;
}

function pictures(masks: readonly LayerReport[], heatmaps: readonly Heatmap[]): Html {
  if (heatmaps.length === 0) return html``;
  const figures = heatmaps.map((heatmap) => {
    const { name, rows, n, height, width, cells } = heatmap;
    const most = cells.reduce((largest, cell) => Math.max(largest, cell), 0);
    const picture = cells.map((cell) => Math.round((255 * cell) / (most || 1)));
    const layer = masks.find((mask) => mask.name === name);
    const kept = layer === undefined ? "" : `${kOfN(layer)} kept. `;
    const size =
      height === rows && width === n
        ? "One cell a unit."
        : `Cells of about ${whole(rows / height)} x ${whole(n / width)} units.`;
    const text = `Mask of ${name}: ${whole(rows)} groups by ${whole(n)} units. ${kept}${spread(heatmap)}`;
    return html`<figure class="small">
      <figcaption>${name}</figcaption>
      <img
        class="mask"
        src="${pngUri(width, height, picture, BLUE)}"
        width="${width}"
        height="${height}"
        style="aspect-ratio:${width}/${Math.max(height, Math.ceil(width / 8))}"
        alt="${text}"
      />
      <p class="note">${whole(rows)} x ${whole(n)}. ${size} Full colour: ${percent(most / 255)} kept.</p>
    </figure> `;
  });
  return html`<section>
    <h2>Masks at the end</h2>
    <p class="note">
      Groups from top to bottom, units from left to right. The more of a cell's units are kept, the fuller its
      colour.
    </p>
    <div class="charts ${figures.length > FEW ? "many" : "few"}">${figures}</div>
    <details>
      <summary>Data: kept units</summary>
      ${table(
        "How evenly kept units lie in the pictures' cells",
        [
          { title: "layer" },
          { title: "mean", numeric: true },
          { title: "least in a column of cells", numeric: true },
          { title: "most in a column of cells", numeric: true },
          { title: "empty columns", numeric: true },
        ],
        heatmaps.map((heatmap) => {
          const columns = columnShares(heatmap);
          const mean = columns.reduce((sum, share) => sum + share, 0) / columns.length;
          return [
            heatmap.name,
            percent(mean),
            percent(Math.min(...columns)),
            percent(Math.max(...columns)),
            columns.filter((share) => share === 0).length,
          ];
        }),
      )}
    </details>
  </section>`;
}

/** What a picture shows, in words. */
function spread(heatmap: Heatmap): string {
  const columns = columnShares(heatmap);
  return `A column of cells keeps ${percent(Math.min(...columns))} to ${percent(Math.max(...columns))} of its units.`;
}

/** The share of kept units in each column of cells, as the cells have it. */
function columnShares({ height, width, cells }: Heatmap): number[] {
  return Array.from({ length: width }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < height; row++) sum += cells[row * width + column];
    return sum / height / 255;
  });
}

function probabilities(masks: readonly LayerReport[]): Html {
  const known = masks.flatMap(({ name, inclusion }) =>
    inclusion === undefined ? [] : [{ name, inclusion }],
  );
  if (known.length === 0) return html``;
  const bins = Math.max(...known.map(({ inclusion }) => inclusion.length));
  const edge = (bin: number): string => (bin / bins).toFixed(2);
  return html`<section>
    <h2>Inclusion probabilities</h2>
    <p class="note">
      How likely a mask holds a unit under independent Gumbel noise, for all units of a layer; exact to 1e-6.
      The heights of bars are on a logarithmic scale. Units between the first and the last twentieth are
      undecided.
    </p>
    <div class="charts many">${known.map(({ name, inclusion }) => histogram(name, inclusion))}</div>
    <details>
      <summary>Data: inclusion probabilities</summary>
      ${table(
        "Units by inclusion probability",
        [
          { title: "from" },
          { title: "to", numeric: true },
          ...known.map(({ name }) => ({ title: name, numeric: true as const })),
        ],
        Array.from({ length: bins }, (_, bin) => [
          edge(bin),
          edge(bin + 1),
          ...known.map(({ inclusion }) => whole(inclusion[bin] ?? 0)),
        ]),
      )}
    </details>
  </section>`;
}
