/**
 * Brings a drawing to what networks for digits saw in training: 28 x 28 grey pixels, light ink on black, the digit in a box of
 * 20 x 20 and its centre of mass in the middle, as the images of MNIST were made.
 */

/** A point of a stroke, in sides of the pad: from 0 to 1. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The pen's way from touching the paper to leaving it. */
export type Stroke = readonly Point[];

/** Pixels of a sample in a row, and in a column. */
export const SIDE = 28;
/** Pixels of the longer side of the box that the digit is brought to. */
const BOX = 20;
/** Half the pen's thickness in pixels, however large the digit was drawn: about that of people's pens in MNIST. */
const RADIUS = 1.2;
/** A drawing smaller than this, in sides of the pad, is a dot, and not made larger than such a one. */
const SMALLEST = 0.1;
const INK = 255;

/**
 * Strokes are drawn anew at the network's size, and not made smaller as pixels, so that thickness and smooth edges do not depend on
 * how large somebody draws. The network's own normalisation comes after this, in `net.classify`.
 *
 * @returns rows of pixels from 0 to 255; all 0 without strokes
 */
export function sampleOf(strokes: readonly Stroke[]): Uint8Array {
  const points = strokes.flat();
  if (points.length === 0) return new Uint8Array(SIDE * SIDE);
  const [left, right] = rangeOf(points.map(({ x }) => x));
  const [top, bottom] = rangeOf(points.map(({ y }) => y));
  const scale = (BOX - 2 * RADIUS) / Math.max(right - left, bottom - top, SMALLEST);
  const drawnAround = (x: number, y: number): Float32Array =>
    drawn(
      strokes.map((stroke) =>
        stroke.map((point) => ({ x: SIDE / 2 + scale * (point.x - x), y: SIDE / 2 + scale * (point.y - y) })),
      ),
    );
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  const mass = centreOfMass(drawnAround(middleX, middleY));
  const centred = drawnAround(middleX + (mass.x - SIDE / 2) / scale, middleY + (mass.y - SIDE / 2) / scale);
  return Uint8Array.from(centred, (coverage) => Math.round(INK * coverage));
}

function rangeOf(values: readonly number[]): [least: number, most: number] {
  return [
    values.reduce((least, value) => Math.min(least, value)),
    values.reduce((most, value) => Math.max(most, value)),
  ];
}

/**
 * How much of each pixel the pen covers, from 0 to 1: by how far the pixel's centre lies inside the edge of a line with round ends.
 * Where lines overlap the larger value counts, so that a chain of lines has no seams.
 */
function drawn(strokes: readonly Stroke[]): Float32Array {
  const coverage = new Float32Array(SIDE * SIDE);
  for (const stroke of strokes) {
    stroke.forEach((to, i) => {
      const from = stroke[Math.max(0, i - 1)];
      const [dx, dy] = [to.x - from.x, to.y - from.y];
      const lengthSquared = dx * dx + dy * dy;
      const reach = RADIUS + 0.5;
      const [firstRow, lastRow] = pixels(from.y, to.y, reach);
      const [firstColumn, lastColumn] = pixels(from.x, to.x, reach);
      for (let row = firstRow; row <= lastRow; row++) {
        for (let column = firstColumn; column <= lastColumn; column++) {
          const [px, py] = [column + 0.5 - from.x, row + 0.5 - from.y];
          const along = lengthSquared === 0 ? 0 : (px * dx + py * dy) / lengthSquared;
          const nearest = Math.min(1, Math.max(0, along));
          const inside = reach - Math.hypot(px - nearest * dx, py - nearest * dy);
          const at = row * SIDE + column;
          coverage[at] = Math.max(coverage[at], Math.min(1, inside));
        }
      }
    });
  }
  return coverage;
}

/** The pixels that a line between two coordinates may touch. */
function pixels(one: number, other: number, reach: number): [first: number, last: number] {
  const first = Math.floor(Math.min(one, other) - reach);
  const last = Math.floor(Math.max(one, other) + reach);
  return [Math.max(0, first), Math.min(SIDE - 1, last)];
}

function centreOfMass(coverage: Float32Array): Point {
  let [sum, x, y] = [0, 0, 0];
  coverage.forEach((mass, i) => {
    sum += mass;
    x += mass * ((i % SIDE) + 0.5);
    y += mass * (Math.floor(i / SIDE) + 0.5);
  });
  return { x: x / sum, y: y / sum };
}
