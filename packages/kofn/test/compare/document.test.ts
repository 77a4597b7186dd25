/** compare.json of reports, by definition; its table as CSV and Markdown, its figure, and the runs that a comparison has. */

import type { Report } from "@kofn/format/run/types.js";
import type { Method } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { type Cell, cellsOf } from "../../src/compare/cells.js";
import { documentOf, type FinishedCell, spread } from "../../src/compare/document.js";
import { plotOf } from "../../src/compare/plot.js";
import { csvOf, markdownOf, sorted } from "../../src/compare/tables.js";
import type { CompareDocument } from "../../src/compare/types.js";

/** Wrong of 200 validation and of 1000 test samples. */
type Wrong = readonly [validation: number, test: number];

function finished(method: Method, budget: string, seed: number, [validation, test]: Wrong): FinishedCell {
  const cell: Cell = { method, budget, seed, folder: `runs/${method}-${budget}-${seed}`, config: {} };
  const report = {
    model: "lenet-300-100",
    data: { name: "mnist", train: 800, validation: 200, test: 1000 },
    result: {
      validation: { loss: 1, accuracy: 1 - validation / 200 },
      test: { loss: 1, accuracy: 1 - test / 1000 },
    },
    totals: { weights: 1000, kept: 100, compression: 10, macs: 1000, macsKept: 100, bytesPacked: 500 + seed },
    training: { seconds: 10 * seed },
  } as unknown as Report;
  return { cell, report, latencyUs: seed === 1 ? 12.5 : null };
}

const DOCUMENT = documentOf([
  finished("dpp", "10x", 1, [4, 20]),
  finished("dpp", "10x", 2, [6, 22]),
  finished("dpp", "10x", 3, [5, 24]),
  finished("gradual", "10x", 1, [4, 21]),
  finished("gradual", "10x", 2, [4, 22]),
  finished("gradual", "10x", 4, [4, 1]),
  finished("dpp", "50x", 1, [9, 40]),
]);

describe("a comparison", () => {
  test("has means and deviations over seeds, and the first seed's latency", () => {
    expect(DOCUMENT.rows).toHaveLength(3);
    const [dpp, , alone] = DOCUMENT.rows;
    expect(dpp).toMatchObject({
      method: "dpp",
      budget: "10x",
      seeds: [1, 2, 3],
      latencyUs: 12.5,
      seconds: 20,
    });
    expect(dpp.bytesPacked).toBe(502);
    expect(dpp.test.error.mean).toBeCloseTo(0.022, 12);
    expect(dpp.test.error.std).toBeCloseTo(0.002, 12);
    expect(dpp.validation.error.mean).toBeCloseTo(0.025, 12);
    expect(dpp.runs).toEqual(["runs/dpp-10x-1", "runs/dpp-10x-2", "runs/dpp-10x-3"]);
    expect(alone.test.error).toEqual({ mean: 0.04, std: 0 });
  });

  test("counts wins, ties and losses over the seeds that both methods have", () => {
    expect(DOCUMENT.pairs).toEqual([{ budget: "10x", a: "dpp", b: "gradual", wins: 1, ties: 1, losses: 0 }]);
  });

  test("is a table with the smallest error of a budget first", () => {
    expect(sorted(DOCUMENT).map(({ method, budget }) => `${budget} ${method}`)).toEqual([
      "10x gradual",
      "10x dpp",
      "50x dpp",
    ]);
    expect(markdownOf(DOCUMENT, "kofn compare a \\\n  --out b")).toMatchInlineSnapshot(`
      "# lenet-300-100 on mnist

      Errors are means over the runs ± their standard deviation; validation chose the epoch, the test split was looked at once in each run.
      Time for a sample in @kofn/runtime, one thread, of the first seed's run.

      | budget | method | runs | test error | validation error | kept | compression | MACs | packed bytes | us a sample | s to train |
      | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
      | 10x | gradual | 3 | 1.47 % ± 1.18 | 2.00 % ± 0.00 | 100 | 10.0x | 100 | 502 | 12.5 | 23.3 |
      | 10x | dpp | 3 | 2.20 % ± 0.20 | 2.50 % ± 0.50 | 100 | 10.0x | 100 | 502 | 12.5 | 20.0 |
      | 50x | dpp | 1 | 4.00 % ± 0.00 | 4.50 % ± 0.00 | 100 | 10.0x | 100 | 501 | 12.5 | 10.0 |

      Seed by seed, which has the smaller test error:

      | budget | a | b | a | neither | b |
      | --- | --- | --- | --: | --: | --: |
      | 10x | dpp | gradual | 1 | 1 | 0 |

          kofn compare a \\
            --out b
      "
    `);
  });

  test("is a CSV file whose fields are those of the rows", () => {
    const [titles, ...lines] = csvOf(DOCUMENT)
      .trimEnd()
      .split("\r\n")
      .map((line) => line.split(","));
    expect(lines).toHaveLength(3);
    const of = (line: number, title: string): string => lines[line][titles.indexOf(title)];
    expect([of(0, "method"), of(0, "seeds"), of(2, "budget")]).toEqual(["dpp", "1 2 3", "50x"]);
    expect(Number(of(0, "test_error_mean"))).toBe(DOCUMENT.rows[0].test.error.mean);
    const odd = { ...DOCUMENT, rows: [{ ...DOCUMENT.rows[0], budget: 'a,"b"' }] };
    expect(csvOf(odd)).toContain('dpp,"a,""b""",1 2 3');
  });

  test("is drawn: a point for each row in both panels, published figures where there are some", () => {
    const svg = plotOf(DOCUMENT);
    expect(svg.match(/ r="3"/g)).toHaveLength(6);
    expect(svg).toContain("Sparse VD, Molchanov et al. 2017: 1.92 % at 68x, as published");
    const elsewhere: CompareDocument = { ...DOCUMENT, data: { ...DOCUMENT.data, name: "glyphs" } };
    expect(plotOf(elsewhere)).not.toContain("published");
    for (const drawn of [svg, plotOf(elsewhere), plotOf({ ...elsewhere, rows: DOCUMENT.rows.slice(2) })]) {
      expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});

test("spread is that of a sample", () => {
  expect(spread([1, 2, 3, 4])).toEqual({ mean: 2.5, std: Math.sqrt(5 / 3) });
  expect(spread([7])).toEqual({ mean: 7, std: 0 });
});

test("runs are methods by targets by seeds, dense ones once a seed, in folders that any system can name", () => {
  const targets = [
    { name: "10x", config: { budget: "10x" } },
    { name: "half maps", config: { prune: ["conv*=maps:50%"] } },
  ];
  const cells = cellsOf({ base: { epochs: 3 }, methods: ["rigl", "dense"], targets, seeds: [1, 7] });
  expect(cells.map(({ folder }) => folder)).toEqual([
    "runs/rigl-10x-1",
    "runs/rigl-10x-7",
    "runs/rigl-half_maps-1",
    "runs/rigl-half_maps-7",
    "runs/dense-1",
    "runs/dense-7",
  ]);
  expect(cells[1].config).toEqual({ epochs: 3, budget: "10x", method: "rigl", seed: 7 });
  expect(cells[5].config).toEqual({ epochs: 3, method: "dense", seed: 7 });
});
