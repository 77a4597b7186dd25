/** report.html: what a run was asked for and what came of it, as one page without a network or a script. */

import type { EpochMetrics, Report } from "@kofn/format/run/types.js";
import { bytes, clock, percent, times, whole } from "../figures.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import { sizeOf } from "../onnx/tensor.js";
import type { Config } from "../options/config.js";
import { barChart, lineChart, type Series } from "./charts.js";
import { shellCommand, trainArguments } from "./command.js";
import { type Column, type Content, type Html, html, table } from "./html.js";
import { maskSections, maskTable } from "./masks.js";
import { STYLE } from "./style.js";
import { budgetLine, coupledSets, granularityOf, kOfN } from "./text.js";

export interface ReportPage {
  readonly report: Report;
  readonly metrics: readonly EpochMetrics[];
  readonly config: Config;
  /** Pictures of the masks that the run ends with. */
  readonly heatmaps: readonly Heatmap[];
  /** All layers that could be pruned, at the shapes of the masks. */
  readonly layers: readonly PrunableLayer[];
}

/** The page as a document; everything that comes from the run is escaped. */
export function reportPage(page: ReportPage): string {
  const { report, metrics, config } = page;
  const title = `${report.model} on ${report.data.name}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <title>${title}, a run of kofn</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          <p>${sentence(report)}</p>
          ${keyFigures(report)} ${askedAndAchieved(report, config, metrics)} ${learning(metrics)}
          ${schedules(metrics)} ${layerTable(page)} ${maskSections(page)} ${sizes(report)}
          ${reproduce(report, config)}
        </main>
        <footer>
          Written by kofn ${report.kofn}. The numbers behind this page are in report.json and metrics.jsonl of
          the same folder.
        </footer>
      </body>
    </html> `.text;
}

function sentence({ layers, totals, result }: Report): string {
  const error = percent(1 - result.test.accuracy);
  if (layers.length === 0) return `A dense network of ${whole(totals.weights)} weights: ${error} test error.`;
  const first = layers[0];
  return (
    `${whole(totals.kept)} of ${whole(totals.weights)} weights are kept, with ${error} test error. Every group of a pruned layer ` +
    `keeps exactly k of its n units; in ${first.name}, ${kOfN(first)} ${granularityOf(first)} in each of ${count(first.groups, "group")}.`
  );
}

function keyFigures({ result, totals, training, layers }: Report): Html {
  const pruned = layers.length > 0;
  const figures: [string, string][] = [
    [percent(result.test.accuracy), "test accuracy"],
    ...(pruned ? [[times(totals.compression), "fewer weights"] as [string, string]] : []),
    [bytes(totals.bytesPacked), pruned ? `packed, of ${bytes(totals.bytesDense)}` : "of parameters"],
    [percent(totals.macsKept / totals.macs), "of the multiply-accumulates"],
    [clock(training.seconds), `for ${count(training.epochs, "epoch")}`],
  ];
  return html`<dl class="figures">
    ${figures.map(
      ([value, name]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function askedAndAchieved(report: Report, config: Config, metrics: readonly EpochMetrics[]): Html {
  const { totals, result, layers, budget, recalibration, data } = report;
  const best = metrics.findLast((line) => line.best);
  const code = (list: readonly string[]): Content =>
    list.map((one, i) => html`${i === 0 ? "" : html`<br />`}<code>${one}</code>`);
  const kept = `${whole(totals.kept)} of ${whole(totals.weights)} weights kept (${times(totals.compression)} fewer)`;
  const prune = [...(config.keep === undefined ? [] : [`keep ${config.keep}`]), ...(config.prune ?? [])];
  const exact = `exactly k of n in each of ${count(
    layers.reduce((sum, { groups }) => sum + groups, 0),
    "group",
  )}`;
  const formats = new Map<string, string[]>();
  for (const { name, format } of report.sizes ?? [])
    formats.set(format, [...(formats.get(format) ?? []), name]);
  const evaluated = (
    name: string,
    samples: number,
    { accuracy, loss }: Report["result"]["test"],
  ): Content[] => [
    name,
    count(samples, "sample"),
    `accuracy ${percent(accuracy)}, error ${percent(1 - accuracy)}, loss ${loss.toFixed(4)}`,
  ];
  const rows: Content[][] = [
    [
      "Pruning",
      prune.length === 0 ? "none named" : code(prune),
      layers.length === 0 ? "dense" : `${kept}; ${exact}`,
    ],
    ...(report.method === undefined || report.method === "dpp" ? [] : [["Method", report.method, ""]]),
    ...(budget === undefined
      ? []
      : [
          [
            "Budget",
            `${percent(budget.requested)} of the ${budget.of === "macs" ? "multiply-accumulates" : "weights"}`,
            budgetLine(budget),
          ],
        ]),
    ...(config.quantize === undefined
      ? []
      : [
          [
            "Few bits",
            code(config.quantize),
            [...formats].map(([format, names]) => `${format}: ${names.join(", ")}. `),
          ],
        ]),
    [
      "Training",
      `${count(report.training.epochs, "epoch")} on ${count(data.train, "sample")}`,
      `${best === undefined ? "" : `the best is epoch ${best.epoch}; `}${whole(report.training.samplesPerSecond)} samples/s`,
    ],
    ...(recalibration === undefined
      ? []
      : [
          [
            "Batch normalisation",
            `measured anew over ${count(recalibration.batches, "batch", "batches")}`,
            `validation accuracy ${percent(recalibration.before.accuracy)} before, ${percent(recalibration.after.accuracy)} after (${recalibration.kept ? "kept" : "not kept"})`,
          ],
        ]),
    evaluated("Validation, which chose the epoch", data.validation, result.validation),
    evaluated("Test, looked at once", data.test, result.test),
  ];
  return html`<section>
    <h2>What was asked, and what came of it</h2>
    ${table("Asked and achieved", [{ title: "" }, { title: "asked" }, { title: "achieved" }], rows)}
  </section>`;
}

function learning(metrics: readonly EpochMetrics[]): Html {
  if (metrics.length === 0) return html``;
  const epochs = metrics.map(({ epoch }) => epoch);
  const both = (of: (evaluation: EpochMetrics["train"]) => number): Series[] => [
    { name: "validation", values: metrics.map(({ validation }) => of(validation)) },
    { name: "training", values: metrics.map(({ train }) => of(train)) },
  ];
  return html`<section>
    <h2>Accuracy and loss</h2>
    <p class="note">
      Training: over the epoch, with sampled masks. Validation: after it, with the k largest logits of each
      group.
    </p>
    <div class="charts">
      ${lineChart({ title: "Accuracy", epochs, series: both(({ accuracy }) => accuracy), format: (value) => `${(100 * value).toFixed(1)} %` })}
      ${lineChart({ title: "Loss", epochs, series: both(({ loss }) => loss), format: short })}
    </div>
  </section>`;
}

function schedules(metrics: readonly EpochMetrics[]): Html {
  if (metrics.length === 0) return html``;
  const epochs = metrics.map(({ epoch }) => epoch);
  const one = (title: string, of: (line: EpochMetrics) => number): Html =>
    lineChart({
      title,
      epochs,
      series: [{ name: title.toLowerCase(), values: metrics.map(of) }],
      format: short,
      range: [0, 0],
    });
  const layers = metrics[metrics.length - 1].layers ?? [];
  const k = layers.map(({ name, n }) => ({ name, values: metrics.map((line) => line.k[name] / n) }));
  const moves = k.some(({ values }) => values.some((value) => value !== values[0]));
  const pruned = Object.keys(metrics[0].k).length > 0;
  return html`<section>
    <h2>Schedules</h2>
    <p class="note">At the last step of each epoch.</p>
    <div class="charts">
      ${one("Learning rate", ({ learningRate }) => learningRate)}
      ${pruned ? [one("Temperature tau", ({ tau }) => tau), one("Noise beta", ({ beta }) => beta)] : ""}
      ${moves ? lineChart({ title: "Share k / n", epochs, series: k, format: (value) => percent(value), range: [0, 1] }) : ""}
    </div>
    ${pruned && !moves && layers.length > 0 ? html`<p class="note">k was at its target from the first epoch on.</p>` : ""}
  </section>`;
}

function layerTable({ report, metrics, layers }: ReportPage): Html {
  const found = new Map(report.layers.map((layer) => [layer.weight, layer]));
  const rows = layers.map(({ name, weight, dims }): Content[] => {
    const layer = found.get(weight);
    const size = whole(sizeOf(dims));
    if (layer === undefined) return [name, "dense", "", "", size, size, "1.0x"];
    return [
      name,
      granularityOf(layer),
      whole(layer.groups),
      kOfN(layer),
      whole(layer.kept),
      size,
      times(layer.weights / layer.kept),
    ];
  });
  return html`<section>
    <h2>Layers</h2>
    ${table(
      "What is kept in each layer",
      [
        { title: "layer" },
        { title: "granularity" },
        numeric("groups"),
        numeric("k of n"),
        numeric("kept"),
        numeric("weights"),
        numeric("compression"),
      ],
      rows,
    )}
    ${coupledSets(report.layers).map((names) => html`<p class="note">One mask of maps: ${names.join(", ")}.</p>`)}
    ${maskTable(report.layers, metrics)}
  </section>`;
}

function sizes({ totals, sizes: perLayer = [], shapes }: Report): Html {
  const total = (of: (size: (typeof perLayer)[number]) => number): number =>
    perLayer.reduce((sum, size) => sum + of(size), 0);
  return html`<section>
    <h2>Size and work</h2>
    <div class="charts">
      ${barChart(
        "Bytes of the parameters",
        [
          { name: "dense", value: totals.bytesDense },
          { name: "packed", value: totals.bytesPacked },
          { name: "limit", value: totals.bytesLimit },
        ],
        bytes,
      )}
      ${barChart(
        "Multiply-accumulates per sample",
        [
          { name: "dense", value: totals.macs },
          { name: "kept", value: totals.macsKept },
        ],
        whole,
      )}
    </div>
    <p class="note">
      Packed: kept values and each mask in its smallest plain form. Limit: masks at log2 C(n, k) bits per
      group, which no code can beat on average.
    </p>
    ${
      perLayer.length === 0
        ? ""
        : table(
            "Bytes per layer, packed",
            [
              { title: "layer" },
              { title: "format" },
              numeric("bits"),
              numeric("kept"),
              numeric("weights"),
              numeric("indices"),
              numeric("scales"),
            ],
            [
              ...perLayer.map(({ name, format, bits, kept, bytes: of }) => [
                name,
                format,
                whole(bits),
                whole(kept),
                bytes(of.weights),
                bytes(of.indices),
                bytes(of.scales),
              ]),
              [
                "total",
                "",
                "",
                whole(total(({ kept }) => kept)),
                bytes(total(({ bytes: of }) => of.weights)),
                bytes(total(({ bytes: of }) => of.indices)),
                bytes(total(({ bytes: of }) => of.scales)),
              ],
            ],
          )
    }
    ${
      shapes === undefined
        ? ""
        : table(
            "Shapes and multiply-accumulates before and after maps were removed",
            [{ title: "layer" }, { title: "shape" }, { title: "now" }, numeric("MACs"), numeric("now")],
            shapes.map(({ name, before, after, macsBefore, macsAfter }) => [
              name,
              `[${before.join(", ")}]`,
              `[${after.join(", ")}]`,
              whole(macsBefore),
              whole(macsAfter),
            ]),
          )
    }
  </section>`;
}

function reproduce({ seed, provider, data }: Report, config: Config): Html {
  const spoken = trainArguments(config);
  const short = shellCommand(["train", "--config", "config.json", "--out", "again"]);
  return html`<section>
    <h2>Reproduce</h2>
    <p>
      In the folder of this page, <code>${short.replaceAll(" \\\n ", "")}</code> repeats the run. The same
      seed (${seed}), settings, number of threads and machine give the same bytes of model.onnx.
    </p>
    ${
      spoken === undefined
        ? html`<p>Its optimizer has settings that no option says; they are in config.json.</p>`
        : html`<p>With every setting as an option:</p>
            <pre
              tabindex="0"
              role="region"
              aria-label="Command line"
            ><code>${shellCommand(spoken)}</code></pre>`
    }
    <p class="note">
      Computed by onnxruntime on ${provider}. Data: ${data.name}, ${whole(data.train)} samples to train,
      ${whole(data.validation)} to validate, ${whole(data.test)} to test.
    </p>
  </section>`;
}

function numeric(title: string): Column {
  return { title, numeric: true };
}

/** "1 group", "300 groups" */
function count(number: number, one: string, many = `${one}s`): string {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

/** A number in a few digits. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
