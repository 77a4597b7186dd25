/** Shows what the network says of a drawing, and how long that takes. */

import type { Classification, Network } from "@kofn/runtime";
import { byId, write } from "./elements.js";
import { milliseconds, percent } from "./format.js";
import { SIDE } from "./sample.js";
import { Stopwatch } from "./stopwatch.js";

/** Milliseconds of work before the first measurement. */
const WARM_UP = 30;

/**
 * Makes the bars.
 *
 * @returns classifies a sample and shows the result
 */
export function showAnswers(net: Network): (sample: Uint8Array, isEmpty: boolean, isDone: boolean) => void {
  const rows = net
    .classify(new Uint8Array(SIDE * SIDE))
    .sort((a, b) => a.index - b.index)
    .map(({ label }) => rowOf(label));
  byId("classes", HTMLOListElement).append(...rows.map(({ row }) => row));
  const seen = byId("sample", HTMLCanvasElement);
  // The browser compiles what it has seen often enough: the first measurements are slower than all that follow.
  for (let i = 0; i < WARM_UP; i++) new Stopwatch().measure(() => net.classify(new Uint8Array(SIDE * SIDE)));
  const stopwatch = new Stopwatch();

  const showClasses = (classes: readonly Classification[]): void => {
    const best = classes.at(0);
    rows.forEach(({ row, fill, value }, index) => {
      const probability = classes.find((one) => one.index === index)?.probability ?? 0;
      row.classList.toggle("first", index === best?.index);
      fill.style.width = `${100 * probability}%`;
      value.textContent = best === undefined ? "" : percent(probability);
    });
    write("digit", best?.label ?? "–");
    write("certainty", best === undefined ? "nothing drawn yet" : `${percent(best.probability)} sure`);
  };

  return (sample, isEmpty, isDone) => {
    paintSample(seen, sample);
    if (isEmpty) {
      showClasses([]);
      write("said", "Nothing is drawn.");
      return;
    }
    const classes = net.classify(sample);
    showClasses(classes);
    const [best] = classes;
    // Said once a stroke is done, as nobody can listen to every move of the pen.
    if (isDone) write("said", `The network reads ${best.label}, ${percent(best.probability)} sure.`);
    stopwatch.measure(() => net.classify(sample));
    write("latency", milliseconds(stopwatch.median));
    write("latency-note", `from pixels to probabilities, median of ${stopwatch.count} measurements`);
  };
}

interface Row {
  readonly row: HTMLLIElement;
  readonly fill: HTMLElement;
  readonly value: HTMLElement;
}

function rowOf(label: string): Row {
  const [row, name, bar, fill, value] = ["li", "span", "span", "span", "span"].map((tag) =>
    document.createElement(tag),
  ) as [HTMLLIElement, ...HTMLElement[]];
  name.textContent = label;
  bar.className = "bar";
  bar.append(fill);
  value.className = "value";
  row.append(name, bar, value);
  return { row, fill, value };
}

/** Light ink on black, as the network gets it. */
function paintSample(canvas: HTMLCanvasElement, sample: Uint8Array): void {
  canvas.width = SIDE;
  canvas.height = SIDE;
  const pixels = new ImageData(SIDE, SIDE);
  sample.forEach((value, i) => {
    pixels.data.set([value, value, value, 255], 4 * i);
  });
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}
