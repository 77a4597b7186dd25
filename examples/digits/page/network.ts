/** Says in words and figures what the network is. */

import type { LayerInfo, NetworkInfo } from "@kofn/runtime";
import { byId, write } from "./elements.js";
import type { FirstLayer } from "./first-layer.js";
import { bytes, percent, whole } from "./format.js";

const FLOAT_BYTES = 4;

/** Fills in what the page says of the network. */
export function tellOf({ layers, bytes: sizes, provenance }: NetworkInfo, first: FirstLayer): void {
  const size = bytes(sizes.file);
  const total = sum(layers, ({ weights }) => weights);
  const kept = sum(layers, keptOf);
  byId("explanation", HTMLParagraphElement).replaceChildren(...explanation(first, size));
  write("size", size);
  const dense = total * FLOAT_BYTES;
  write(
    "size-note",
    `${bytes(dense)} with all weights, as float32: ${Math.round(dense / sizes.file)} times as much`,
  );
  write("connections", whole(kept));
  write(
    "connections-note",
    `of ${whole(total)}: ${percent(kept / total)}; for the others nothing is stored or computed`,
  );
  const { kofn, data, seed, accuracy } = provenance;
  const parts = [
    `Packed by kofn ${kofn}`,
    ...(data === "" ? [] : [`trained on ${data} with seed ${seed}`]),
    ...(accuracy === undefined ? [] : [`${(100 * accuracy).toFixed(2)} % right on its test images`]),
  ];
  write("origin", `${parts.join(", ")}. Nothing that you draw leaves this page.`);
}

/** The weights that a layer's mask keeps, be their values in few bits 0 or not; where groups differ, those that are not 0. */
function keptOf({ weights, kept, n, k }: LayerInfo): number {
  if (n === undefined || k === undefined) return weights;
  return k[0] === k[1] ? (weights * k[0]) / n : kept;
}

/** What k of n means here, for who has never heard of it. */
function explanation({ kept, height, width, isConvolution }: FirstLayer, size: string): (string | Node)[] {
  const units = `the ${whole(kept.length)} ${isConvolution ? "filters" : "neurons"} that look at your drawing`;
  const pixels = `all ${whole(height * width)} pixels${isConvolution ? " below it" : ""}`;
  const counts = kept.map(({ length }) => length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (least === height * width) {
    return [`Each of ${units} sees ${pixels}: nothing was pruned there. The network is a file of ${size}.`];
  }
  const number = document.createElement("strong");
  number.textContent = least === most ? `exactly ${most}` : `${least} to ${most}`;
  return [
    `Instead of ${pixels}, each of ${units} sees `,
    number,
    `, which the network chose while it learned; all other connections are gone, so that it is a file of ${size} ` +
      "and reads the digit anew at every move of your pen.",
  ];
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
