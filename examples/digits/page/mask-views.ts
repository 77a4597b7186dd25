/** The part of the page that shows the first layer's mask, and the neuron that is chosen. */

import { byId, write } from "./elements.js";
import type { FirstLayer } from "./first-layer.js";
import { whole } from "./format.js";
import { cellAt, paintUnit, paintUnits, paintUsage, tilingOf, usageOf } from "./masks.js";
import { SIDE } from "./sample.js";

export interface MaskViews {
  /** Shows a drawing behind the chosen neuron's pixels. */
  showDrawing(sample: Uint8Array): void;
  /** Paints all, in the page's colours. */
  paint(): void;
}

export function showMasks(layer: FirstLayer): MaskViews {
  const [usageView, unitView, unitsView] = ["usage", "unit", "units"].map((id) =>
    byId(id, HTMLCanvasElement),
  );
  const choice = byId("choice", HTMLInputElement);
  const { kept, isConvolution, height, width } = layer;
  const [unit, units] = isConvolution ? ["filter", "filters"] : ["neuron", "neurons"];
  const name = (chosen: number): string => `${unit[0].toUpperCase()}${unit.slice(1)} ${chosen + 1}`;
  const usage = usageOf(layer);
  const tiling = tilingOf(layer);
  const most = usage.reduce((a, b) => Math.max(a, b));
  const unused = usage.filter((count) => count === 0).length;
  let sample: Uint8Array = new Uint8Array(SIDE * SIDE);
  let chosen = 0;

  const usageNote =
    `All ${whole(kept.length)} ${units} together: how many of them use a pixel. ` +
    (unused === 0
      ? "Every pixel is used."
      : `${whole(unused)} of the ${whole(height * width)} pixels are used by none.`);
  write("most", `${whole(most)} ${units}`);
  write("usage-note", usageNote);
  usageView.ariaLabel = `Heat map of ${height} x ${width} pixels: the most used one serves ${most} ${units}, ${unused} serve none`;
  write(
    "units-note",
    `All ${whole(kept.length)} side by side. Point at one to see it large, or move the slider.`,
  );
  unitsView.ariaLabel = `The pixels of all ${whole(kept.length)} ${units}, side by side`;
  choice.max = String(kept.length);

  const choose = (next: number): void => {
    chosen = next;
    choice.value = String(chosen + 1);
    choice.ariaValueText = `${name(chosen)} of ${kept.length}`;
    write("choice-label", name(chosen));
    const count = kept[chosen].length;
    write(
      "unit-note",
      `${name(chosen)} sees these ${whole(count)} of ${whole(height * width)} pixels and nothing else.`,
    );
    unitView.ariaLabel = `${name(chosen)}: ${count} of ${height * width} pixels`;
    paintUnit(unitView, layer, chosen, sample);
    paintUnits(unitsView, layer, tiling, chosen);
  };
  choice.addEventListener("input", () => {
    choose(choice.valueAsNumber - 1);
  });
  for (const type of ["pointermove", "pointerdown"] as const) {
    unitsView.addEventListener(type, (event) => {
      const at = cellAt(unitsView, tiling, event);
      if (at !== chosen && at < kept.length) choose(at);
    });
    usageView.addEventListener(type, (event) => {
      const place = cellAt(usageView, { columns: width, rows: height }, event);
      const [row, column] = [Math.floor(place / width) + 1, (place % width) + 1];
      write(
        "usage-note",
        `Row ${row}, column ${column}: used by ${whole(usage[place])} of ${whole(kept.length)} ${units}.`,
      );
    });
  }
  usageView.addEventListener("pointerleave", () => {
    write("usage-note", usageNote);
  });

  const paint = (): void => {
    paintUsage(usageView, layer, usage);
    choose(chosen);
  };
  paint();
  return {
    paint,
    showDrawing(drawing) {
      sample = drawing;
      paintUnit(unitView, layer, chosen, sample);
    },
  };
}
