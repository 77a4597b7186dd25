/** A run's report as text: a table of the layers, totals, and what the test split says. */

import type { Evaluation, LayerSize, Report, ShapeReport } from "@kofn/format/run/types.js";
import { bytes, percent, times, whole } from "../figures.js";
import { prunableLayers } from "../layers/layers.js";
import type { Model } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { budgetLine, coupledSets, granularityOf, kOfN } from "../report/text.js";
import { styled, table } from "./terminal.js";

/** @param model the masked model; it gives the layers that were left dense. */
export function summary(report: Report, model: Model): string[] {
  const { totals, result } = report;
  const rows = prunableLayers(model.graph).map(({ name, dims }) => {
    const layer = report.layers.find((pruned) => pruned.name === name);
    const size = sizeOf(dims);
    if (layer === undefined) return [name, "dense", "", "", whole(size), whole(size), "1.0x"];
    const ratio = times(layer.weights / layer.kept);
    return [
      name,
      granularityOf(layer),
      whole(layer.groups),
      kOfN(layer),
      whole(layer.kept),
      whole(size),
      ratio,
    ];
  });
  const coupled = coupledSets(report.layers);
  const total = ["total", "", "", "", whole(totals.kept), whole(totals.weights), times(totals.compression)];
  return [
    "",
    ...table(
      [
        { title: "layer" },
        { title: "granularity" },
        { title: "groups", align: "right" },
        { title: "k of n", align: "right" },
        { title: "kept", align: "right" },
        { title: "weights", align: "right" },
        { title: "compression", align: "right" },
      ],
      [...rows, total],
    ),
    ...coupled.map((names) => `one mask of maps: ${names.join(", ")}`),
    "",
    ...(report.shapes === undefined ? [] : [...shapeTable(report.shapes), ""]),
    ...sizeTable(report.sizes),
    `parameters  ${bytes(totals.bytesDense)} dense, ${bytes(totals.bytesPacked)} packed (limit ${bytes(totals.bytesLimit)})`,
    `MACs        ${whole(totals.macs)} dense, ${whole(totals.macsKept)} with kept weights alone`,
    ...(report.budget === undefined ? [] : [`budget      ${budgetLine(report.budget)}`]),
    ...recalibrationLine(report),
    `validation  ${evaluation(result.validation)}`,
    styled("bold", `test        ${evaluation(result.test)}`),
  ];
}

/** Bits and bytes of all layers, if any is quantized, and an empty line. */
export function sizeTable(sizes: readonly LayerSize[] = []): string[] {
  if (sizes.every(({ format }) => format === "float32")) return [];
  const rows = sizes.map((size) => [
    size.name,
    size.format,
    whole(size.bits),
    whole(size.kept),
    ...PARTS.map((part) => bytes(size.bytes[part])),
  ]);
  const sum = (part: (typeof PARTS)[number]): string =>
    bytes(sizes.reduce((total, size) => total + size.bytes[part], 0));
  const kept = whole(sizes.reduce((total, size) => total + size.kept, 0));
  const columns = [
    { title: "layer" },
    { title: "format" },
    { title: "bits", align: "right" as const },
    { title: "kept", align: "right" as const },
    ...PARTS.map((title) => ({ title, align: "right" as const })),
  ];
  return [...table(columns, [...rows, ["total", "", "", kept, ...PARTS.map(sum)]]), ""];
}

const PARTS = ["weights", "indices", "scales"] as const;

/** Shapes, weights and multiply-accumulates before and after maps are removed. */
export function shapeTable(shapes: readonly ShapeReport[]): string[] {
  const rows = shapes.map(({ name, before, after, macsBefore, macsAfter }) => [
    name,
    `[${before.join(", ")}]`,
    `[${after.join(", ")}]`,
    whole(sizeOf(before)),
    whole(sizeOf(after)),
    whole(macsBefore),
    whole(macsAfter),
  ]);
  const sum = (of: (shape: ShapeReport) => number): string =>
    whole(shapes.reduce((total, shape) => total + of(shape), 0));
  const total = [
    "total",
    "",
    "",
    sum(({ before }) => sizeOf(before)),
    sum(({ after }) => sizeOf(after)),
    sum(({ macsBefore }) => macsBefore),
    sum(({ macsAfter }) => macsAfter),
  ];
  return table(
    [
      { title: "layer" },
      { title: "shape" },
      { title: "now" },
      { title: "weights", align: "right" },
      { title: "now", align: "right" },
      { title: "MACs", align: "right" },
      { title: "now", align: "right" },
    ],
    [...rows, total],
  );
}

function recalibrationLine({ recalibration }: Report): string[] {
  if (recalibration === undefined) return [];
  const { before, after, batches, kept } = recalibration;
  const verdict = kept ? "kept" : "not kept";
  return [
    `batch norm  measured anew over ${whole(batches)} batches: validation ${percent(before.accuracy)} before, ${percent(after.accuracy)} after (${verdict})`,
  ];
}

/** "accuracy 98.20 %  error 1.80 %  loss 0.0612" */
export function evaluation({ loss, accuracy }: Evaluation): string {
  return `accuracy ${percent(accuracy)}  error ${percent(1 - accuracy)}  loss ${loss.toFixed(4)}`;
}
