/** Draws the mask of the first layer: how many neurons use each pixel, what one neuron keeps, and all neurons side by side. */

import type { FirstLayer } from "./first-layer.js";

/** Screen pixels of a cell in a large view. */
const CELL = 12;
/** Cells between two neurons in the view of all. */
const GAP = 3;
/** By so many cells dots are larger there than cells. */
const DOT = 0.8;
/** The view of all is about so many times as wide as high. */
const ASPECT = 4 / 3;
/** How much of the drawing shows through behind a neuron's pixels. */
const FAINT = 0.3;

/** By how many neurons each pixel is used. */
export function usageOf({ kept, height, width }: FirstLayer): Uint32Array {
  const counts = new Uint32Array(height * width);
  for (const places of kept) for (const place of places) counts[place]++;
  return counts;
}

/** The more neurons use a pixel, the more of the colour it has. */
export function paintUsage(
  canvas: HTMLCanvasElement,
  { height, width }: FirstLayer,
  usage: Uint32Array,
): void {
  const most = usage.reduce((a, b) => Math.max(a, b));
  const context = sized(canvas, width * CELL, height * CELL);
  context.fillStyle = colourOf("--accent");
  usage.forEach((count, place) => {
    context.globalAlpha = count / most;
    fillCell(context, place, width);
  });
}

/** A neuron's pixels in the colours of their signs, over the drawing if the neuron sees all of it. */
export function paintUnit(
  canvas: HTMLCanvasElement,
  { height, width, isConvolution, kept, signs }: FirstLayer,
  unit: number,
  sample: Uint8Array,
): void {
  const context = sized(canvas, width * CELL, height * CELL);
  if (!isConvolution) {
    context.fillStyle = colourOf("--ink");
    sample.forEach((value, place) => {
      context.globalAlpha = (FAINT * value) / 255;
      fillCell(context, place, width);
    });
    context.globalAlpha = 1;
  }
  kept[unit].forEach((place, i) => {
    context.fillStyle = colourOf(signs[unit][i] < 0 ? "--against" : "--accent");
    fillCell(context, place, width);
  });
}

/** How cells lie in a view. */
export interface Tiling {
  readonly columns: number;
  readonly rows: number;
}

export function tilingOf({ kept, height, width }: FirstLayer): Tiling {
  const columns = Math.ceil(Math.sqrt((kept.length * ASPECT * height) / width));
  return { columns, rows: Math.ceil(kept.length / columns) };
}

/** All neurons, with a frame around one. */
export function paintUnits(
  canvas: HTMLCanvasElement,
  { height, width, kept, signs }: FirstLayer,
  { columns, rows }: Tiling,
  chosen: number,
): void {
  const [across, down] = [width + GAP, height + GAP];
  const scale = Math.max(1, Math.round(900 / (columns * across)));
  const context = sized(canvas, columns * across * scale, rows * down * scale);
  context.scale(scale, scale);
  const [plus, minus, ground] = ["--accent", "--against", "--sunken"].map(colourOf);
  kept.forEach((places, unit) => {
    const left = (unit % columns) * across + GAP / 2;
    const top = Math.floor(unit / columns) * down + GAP / 2;
    context.fillStyle = ground;
    context.fillRect(left, top, width, height);
    // At this size pixels are too small to be seen: they are drawn larger than they are.
    places.forEach((place, i) => {
      context.fillStyle = signs[unit][i] < 0 ? minus : plus;
      context.fillRect(
        left + (place % width) - DOT / 2,
        top + Math.floor(place / width) - DOT / 2,
        1 + DOT,
        1 + DOT,
      );
    });
    if (unit === chosen) {
      context.strokeStyle = colourOf("--ink");
      context.lineWidth = GAP;
      context.strokeRect(left - GAP / 2, top - GAP / 2, width + GAP, height + GAP);
    }
  });
}

/** The cell of a view at a point, row by row; the nearest one for points just outside. */
export function cellAt(
  canvas: HTMLCanvasElement,
  { columns, rows }: Tiling,
  { clientX, clientY }: PointerEvent,
): number {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const cell = (at: number, count: number): number =>
    Math.min(count - 1, Math.max(0, Math.floor(at * count)));
  return cell((clientY - top) / height, rows) * columns + cell((clientX - left) / width, columns);
}

function sized(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("the browser has no canvas to draw on");
  return context;
}

function fillCell(context: CanvasRenderingContext2D, place: number, width: number): void {
  context.fillRect((place % width) * CELL, Math.floor(place / width) * CELL, CELL, CELL);
}

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
