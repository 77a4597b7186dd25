/** The parts of report.html: escaping, axes, pictures and the command line. */

import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { barChart, histogram, lineChart, niceTicks } from "../../src/report/charts.js";
import { quoted, shellCommand, trainArguments } from "../../src/report/command.js";
import { html, table } from "../../src/report/html.js";
import { pngUri } from "../../src/report/png.js";

describe("html", () => {
  test("escapes values, but not HTML, in lists, too", () => {
    const value = `<a href="x">&'`;
    expect(html`<p title="${value}">${[html`<b>${1}</b>`, value]}</p>`.text).toBe(
      '<p title="&lt;a href=&quot;x&quot;&gt;&amp;&#39;"><b>1</b>&lt;a href=&quot;x&quot;&gt;&amp;&#39;</p>',
    );
  });

  test("replaces what a page can't hold, or what would turn text around", () => {
    expect(html`${"a\u0000b\u001bc\u202ed\ne"}`.text).toBe("a\ufffdb\ufffdc\ufffdd\ne");
  });

  test("a table has headers for its columns and rows", () => {
    const text = table("T", [{ title: "a" }, { title: "b", numeric: true }], [["x", 1]]).text;
    expect(text).toContain("<caption>");
    expect(text.match(/<th scope="col"/g)).toHaveLength(2);
    expect(text).toMatch(/<tr><th scope="row">x<\/th><td class="n">1<\/td><\/tr>/);
    expect(text).toContain('tabindex="0"');
  });
});

describe("charts", () => {
  test.each([
    [0, 1, [0, 0.25, 0.5, 0.75, 1]],
    [0.905, 0.987, [0.9, 0.925, 0.95, 0.975, 1]],
    [0, 0.002, [0, 0.0005, 0.001, 0.0015, 0.002]],
    [-3, 7, [-5, -2.5, 0, 2.5, 5, 7.5]],
    [4, 4, [4, 5]],
    [0, 0, [0, 0.25]],
  ])("ticks from %d to %d", (from, to, expected) => {
    expect(niceTicks(from, to)).toEqual(expected);
  });

  const format = (value: number): string => value.toFixed(2);

  test("a line goes through its values, and the text says from where to where", () => {
    const series = [{ name: "fc1", values: [0, 0.5, 1] }];
    const chart = lineChart({ title: "C", epochs: [1, 2, 3], series, format, range: [0, 1] }).text;
    expect(chart).toContain('d="M62 192L245 102L428 12"');
    expect(chart).toContain("Line chart: C, epochs 1 to 3. fc1 from 0.00 to 1.00.");
    expect(chart).not.toContain("legend");
  });

  test("one epoch, missing values, equal values and no values", () => {
    const chart = (values: readonly (number | undefined)[]): string =>
      lineChart({ title: "C", epochs: values.map((_, i) => i + 1), series: [{ name: "a", values }], format })
        .text;
    expect(chart([3])).toContain('d="M245');
    expect(chart([undefined, 2, 2])).toContain("a from 2.00 to 2.00");
    expect(chart([undefined])).toBe("");
    for (const values of [[3], [undefined, 2, 2], [-1, 1]]) expect(chart(values)).not.toContain("NaN");
  });

  test("many lines are thinned and joined by their mean", () => {
    const epochs = Array.from({ length: 1000 }, (_, i) => i + 1);
    const series = Array.from({ length: 20 }, (_, i) => ({
      name: `l${i}`,
      values: epochs.map((e) => i + e),
    }));
    const chart = lineChart({ title: "C", epochs, series, format }).text;
    expect(chart).toContain("mean of all layers from 10.50 to 1009.50");
    expect(chart.length).toBeLessThan(100_000);
    expect(chart).toContain("40 of 1000 epochs");
  });

  test("a histogram says what is decided; bars have lengths in proportion", () => {
    const text = histogram("fc1", [6, 1, 0, 1, 2]).text;
    expect(text).toContain("60.0 % of the units below 0.2, 20.0 % above 0.8, 20.0 % between");
    expect(text.match(/M[\d.]+ 88V/g)).toHaveLength(4);
    const bars = barChart(
      "B",
      [
        { name: "a", value: 200 },
        { name: "b", value: 50 },
      ],
      String,
    ).text;
    expect([...bars.matchAll(/width="([\d.]+)" height="20"/g)].map(([, width]) => Number(width))).toEqual([
      250, 62.5,
    ]);
    expect(barChart("B", [{ name: "a", value: 0 }], String).text).not.toContain("NaN");
  });
});

test.each([
  [1, 1],
  [5, 3],
  [64, 64],
])("a picture of %i x %i, decoded, has the colour and the opacity of its cells", async (width, height) => {
  const cells = Uint8Array.from({ length: width * height }, (_, i) => (i * 37) % 256);
  const uri = pngUri(width, height, cells, [0, 114, 178]);
  const file = Buffer.from(uri.slice("data:image/png;base64,".length), "base64");
  const { data, info } = await sharp(file).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([width, height, 4]);
  cells.forEach((cell, i) => {
    expect([...data.subarray(4 * i, 4 * i + 3)]).toEqual([0, 114, 178]);
    expect(Math.abs(data[4 * i + 3] - cell)).toBeLessThanOrEqual(9);
  });
});

describe("the command", () => {
  test("has every setting as an option", () => {
    const config = {
      model: "my net.onnx",
      data: "mnist",
      prune: ["conv*=weights:10%", "fc1=weights:2:4"],
      keep: "5%",
      tau: [5, 0.5] as const,
      "skip-bad-images": true,
      lr: 0.002,
      out: "runs/a",
    };
    expect(shellCommand(trainArguments(config) ?? [])).toBe(
      [
        "kofn train 'my net.onnx' \\",
        "  --data mnist \\",
        "  --prune 'conv*=weights:10%' \\",
        "  --prune fc1=weights:2:4 \\",
        "  --keep 5% \\",
        "  --tau 5:0.5 \\",
        "  --skip-bad-images \\",
        "  --lr 0.002 \\",
        "  --out runs/a",
      ].join("\n"),
    );
  });

  test("can't say what only a file can", () => {
    expect(
      trainArguments({ model: "lenet-5", optimizer: { kind: "adam", lr: 1, beta1: 0.5 } }),
    ).toBeUndefined();
    expect(trainArguments({ "skip-bad-images": false })).toEqual(["train"]);
    expect(trainArguments({ prune: [] })).toEqual(["train"]);
  });

  test.each(["a b", "it's", "$(x)", "`x`", "*", "~/a", "", "a;b", '"', "a\nb", "=x", "#c"])(
    "quotes %j for the shell",
    (argument) => {
      expect(quoted(argument)).toMatch(/^'[^]*'$/);
    },
  );
});
