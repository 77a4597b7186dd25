/** The page: loads the network, classifies at every move of the pen, and shows what it says and what it looks at. */

import { load, type Network } from "@kofn/runtime";
import { showAnswers } from "./answers.js";
import { byId } from "./elements.js";
import { exampleOf } from "./examples.js";
import type { FirstLayer } from "./first-layer.js";
import { showMasks } from "./mask-views.js";
import { tellOf } from "./network.js";
import { Pad } from "./pad.js";
import { sampleOf } from "./sample.js";

/** The order in which the page draws digits by itself. */
const EXAMPLES = [7, 2, 0, 4, 1, 9, 5, 6, 3, 8];

try {
  show(...(await Promise.all([load("model.kofn"), firstLayer()])));
} catch (error) {
  const problem = byId("problem", HTMLParagraphElement);
  problem.textContent = `The network can't be shown: ${error instanceof Error ? error.message : String(error)}`;
  problem.hidden = false;
}

async function firstLayer(): Promise<FirstLayer> {
  const response = await fetch("first-layer.json");
  if (!response.ok) throw new Error(`first-layer.json: the server answers ${response.status}`);
  return (await response.json()) as FirstLayer;
}

function show(net: Network, layer: FirstLayer): void {
  tellOf(net.info, layer);
  const masks = showMasks(layer);
  const answer = showAnswers(net);
  const hint = byId("hint", HTMLParagraphElement);
  const pad = new Pad(byId("pad", HTMLCanvasElement), (strokes, isDone) => {
    const sample = sampleOf(strokes);
    hint.hidden = strokes.length > 0;
    answer(sample, strokes.length === 0, isDone);
    masks.showDrawing(sample);
  });
  byId("clear", HTMLButtonElement).addEventListener("click", () => {
    pad.show([]);
  });
  let examples = 0;
  byId("example", HTMLButtonElement).addEventListener("click", () => {
    pad.show(exampleOf(EXAMPLES[examples++ % EXAMPLES.length]));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    pad.paint();
    masks.paint();
  });
  pad.show([]);
}
