/** report.html: what it says of a real run, what it makes of hostile names, and that it stays small and self-contained. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { EpochMetrics, LayerReport } from "@kofn/format/run/types.js";
import type { AxeResults } from "axe-core";
import { beforeAll, describe, expect, test } from "vitest";
import { hasChromium, launchChromium } from "../../../studio/test/support/chromium.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { heatmapOf } from "../../src/metrics/heatmaps.js";
import { configOf } from "../../src/options/settings.js";
import { maps, weights } from "../../src/prune/spec.js";
import { type ReportPage, reportPage } from "../../src/report/page.js";
import { train } from "../../src/run/train.js";
import type { TrainOptions } from "../../src/run/types.js";
import { tinyData, tinyModel } from "../support/tiny.js";

/** What the page of a run is made of. */
async function pageOf(changes: Partial<TrainOptions> = {}): Promise<ReportPage> {
  const run = await train({
    model: tinyModel(),
    data: tinyData(),
    prune: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
    optimizer: { kind: "adam", lr: 0.01 },
    epochs: 3,
    batch: 16,
    threads: 1,
    ...changes,
  });
  const { report, metrics, options, heatmaps, masked } = run;
  const config = { model: "net.onnx", data: "tiny", ...configOf(options) };
  return { report, metrics, config, heatmaps: heatmaps.result, layers: prunableLayers(masked.graph) };
}

const VOID = new Set(["meta", "img", "br"]);

/** The tags of a page in order, each checked to be closed where it belongs. */
function tagsOf(page: string): string[] {
  const open: string[] = [];
  const tags: string[] = [];
  for (const [, close, name, , empty] of page.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*?)(\/?)>/g,
  )) {
    if (close === "/") expect(open.pop()).toBe(name);
    else {
      tags.push(name);
      if (empty === "" && !VOID.has(name)) open.push(name);
    }
  }
  expect(open).toEqual([]);
  return tags;
}

/** The text of a page, entities read. */
function textOf(page: string): string {
  return page
    .replace(/<style>[^]*?<\/style>/, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, "&")
    .replace(/\s+/g, " ");
}

let page: ReportPage;
let html: string;
beforeAll(async () => {
  page = await pageOf();
  html = reportPage(page);
});

describe("reportPage", () => {
  test("has a section for each part, in order, and tables and charts with their names", () => {
    const tags = tagsOf(html);
    expect(html.startsWith("<!doctype html>")).toBe(true);
    expect([...html.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title)).toEqual([
      "What was asked, and what came of it",
      "Accuracy and loss",
      "Schedules",
      "Layers",
      "Masks over time",
      "Masks at the end",
      "Inclusion probabilities",
      "Size and work",
      "Reproduce",
    ]);
    expect(tags.filter((tag) => tag === "h1")).toHaveLength(1);
    const count = (pattern: RegExp): number => [...html.matchAll(pattern)].length;
    expect(count(/<table>/g)).toBe(count(/<caption>\s*\S/g));
    expect(count(/<svg\s+role="img"\s+aria-label="[^"]+"/g)).toBe(
      count(/<svg(?!\s+(class="(sample|spark)"\s+)?aria-hidden)/g),
    );
    expect(count(/<img\s+class="mask"[^>]*\salt="Mask of [^"]+"/g)).toBe(2);
    expect(count(/<details>/g)).toBe(count(/<summary>Data: /g));
    const ids = [...html.matchAll(/\sid="/g)];
    expect(ids).toEqual([]);
  });

  test("says what the report says", () => {
    const { report, metrics } = page;
    const text = textOf(html);
    const best = metrics.findLast((line) => line.best);
    const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
    expect(text).toContain(`accuracy ${percent(report.result.test.accuracy)}`);
    expect(text).toContain(`accuracy ${percent(report.result.validation.accuracy)}`);
    expect(text).toContain(`the best is epoch ${best?.epoch}`);
    expect(text).toContain(`${report.totals.kept} of ${report.totals.weights} weights kept`);
    for (const { name, groups, k, n, confidence, diversity, inclusion = [] } of report.layers) {
      expect(text).toContain(`${name} weights ${groups} ${k} of ${n}`);
      expect(text).toContain(confidence.toFixed(3));
      expect(text).toContain(diversity.toFixed(3));
      const undecided = inclusion.slice(1, -1).reduce((sum, units) => sum + units, 0) / (groups * n);
      expect(text).toContain(`${(100 * undecided).toFixed(1)} % of the units undecided`);
    }
    for (const { epoch, validation } of metrics) {
      expect(text).toMatch(new RegExp(`\\b${epoch} ${(100 * validation.accuracy).toFixed(1)} %`));
    }
    const last = metrics[metrics.length - 1].layers ?? [];
    expect(text).toContain(`3 ${last.map(({ churn }) => `${(100 * churn).toFixed(0)} %`).join(" ")}`);
    expect(text).toContain(
      "kofn train net.onnx \\ --data tiny \\ --prune conv=weights:4 \\ --prune fc=weights:12",
    );
  });

  test("needs no network and no script", () => {
    expect(html).not.toMatch(/<script|<link|<iframe|<object|javascript:|https?:|@import|url\(/i);
    expect(
      [...html.matchAll(/\ssrc="([^"]{0,22})/g)].every(([, src]) => src === "data:image/png;base64,"),
    ).toBe(true);
    expect(html).not.toMatch(/\son[a-z]+=/i);
    expect(html).toContain("default-src 'none'");
    expect(html).toContain('<html lang="en">');
  });

  test("no number is missing", () => {
    expect(textOf(html)).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("escapes all that comes from outside", () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;`;
    const rename = <T extends { readonly name: string }>(one: T): T => ({ ...one, name: evil });
    const { report, metrics, config, heatmaps, layers } = page;
    const hostile = reportPage({
      report: {
        ...report,
        kofn: evil,
        model: evil,
        data: { ...report.data, name: evil },
        layers: report.layers.map((layer) => ({ ...rename(layer), weight: evil, group: evil })),
        sizes: (report.sizes ?? []).map((size) => ({ ...rename(size), weight: evil })),
        shapes: [{ name: evil, weight: evil, before: [2, 2], after: [1, 2], macsBefore: 4, macsAfter: 2 }],
      },
      metrics: metrics.map((line) => ({
        ...line,
        k: { [evil]: 4 },
        layers: (line.layers ?? []).map((mask) => ({ ...rename(mask), members: [evil, evil] })),
      })),
      config: { ...config, model: evil, data: evil, prune: [evil], quantize: [evil], augment: evil },
      heatmaps: heatmaps.map(rename),
      layers: layers.map((layer) => ({ ...rename(layer), weight: evil })),
    });
    expect(tagsOf(hostile)).not.toContain("script");
    expect(hostile).not.toContain("<script");
    expect(hostile).not.toMatch(/<img\s(?!\s*class="mask"\s+src="data:)/);
    expect([...textOf(hostile).matchAll(/<script>alert\(1\)/g)].length).toBeGreaterThan(10);
  });

  test("a dense run has no masks, one of an older version none over time", async () => {
    const dense = reportPage(await pageOf({ prune: {}, epochs: 1 }));
    tagsOf(dense);
    expect(dense).not.toMatch(/<h2>(Masks|Inclusion)/);
    expect(textOf(dense)).toContain("A dense network of");
    expect(dense).not.toMatch(/NaN|undefined|Infinity/);
    const { report, metrics } = page;
    const old = reportPage({
      ...page,
      heatmaps: [],
      report: {
        ...report,
        layers: report.layers.map(
          ({ inclusion, neverChosen, overlapMagnitude, jensenShannon, softmaxConfidence, ...layer }) => {
            expect([
              inclusion,
              neverChosen,
              overlapMagnitude,
              jensenShannon,
              softmaxConfidence,
            ]).not.toContain(undefined);
            return layer;
          },
        ),
      },
      metrics: metrics.map(({ layers, ...line }) => (expect(layers).toHaveLength(2), line)),
    });
    tagsOf(old);
    expect([...old.matchAll(/<h2>(Masks|Inclusion)/g)]).toEqual([]);
    expect(old).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("shows shapes, budgets and k that shrinks where there are any", async () => {
    const shrunk = reportPage(
      await pageOf({
        prune: { conv: maps({ k: 2 }) },
        budget: { weights: 4 },
        sampler: { shrink: [0, 0.6] },
        epochs: 4,
      }),
    );
    tagsOf(shrunk);
    const text = textOf(shrunk);
    expect(text).toContain("Shapes and multiply-accumulates before and after maps were removed");
    expect(text).toContain("Share k / n");
    expect(text).toContain("25.00 % of the weights");
    expect(shrunk).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("stays below a megabyte with 50 layers and 500 epochs", () => {
    const names = Array.from({ length: 50 }, (_, i) => `layer${1 + (i >> 3)}.${i % 8}.conv`);
    const [layer] = page.report.layers;
    const [line] = page.metrics;
    const mask = (line.layers ?? [])[0];
    const layers: LayerReport[] = names.map((name) => ({ ...layer, name, weight: `${name}.weight` }));
    const metrics: EpochMetrics[] = Array.from({ length: 500 }, (_, i) => ({
      ...line,
      epoch: i + 1,
      tau: 5 - i / 100,
      k: Object.fromEntries(names.map((name, at) => [name, 600 - i - at])),
      layers: names.map((name, at) => ({
        ...mask,
        name,
        confidence: 1 - 1 / (1 + i / (at + 5)),
        churn: 1 / (1 + i + at),
      })),
    }));
    const noise = Uint8Array.from({ length: 64 * 576 }, (_, i) => ((i * 2654435761) % 97) & 1);
    const heatmaps = names.map((name) => heatmapOf(name, 64, 576, noise));
    const prunable = names.map((name) => ({ ...page.layers[0], name, weight: `${name}.weight` }));
    const large = reportPage({
      ...page,
      report: { ...page.report, layers },
      metrics,
      heatmaps,
      layers: prunable,
    });
    tagsOf(large);
    expect(Buffer.byteLength(large)).toBeLessThan(1e6);
    expect(textOf(large)).toContain("each of 50 layers");
  });
});

describe.skipIf(!hasChromium())("in Chromium", { timeout: 120_000 }, () => {
  test("passes axe in light and dark", async () => {
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    const browser = await launchChromium();
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await browser.newPage({ colorScheme });
      await page.setContent(reportPage(await pageOf()));
      const { violations } = await page.evaluate<AxeResults>(`${axe}; window.axe.run()`);
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    }
    await browser.close();
  });
});
