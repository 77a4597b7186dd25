/** `glyphs`: 28x28 grey handwritten-looking digits, drawn by the program itself, so that it can train without a download. */

import { Random } from "../random.js";
import { Raster } from "./raster.js";
import { SKELETONS, type Stroke } from "./skeletons.js";
import type { ResidentDataset, ResidentSplit } from "../data/types.js";

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const TRAIN = 20_000;
const VALIDATION = 2_000;
const TEST = 4_000;

/** Pixels from the top to the bottom of a digit, before scaling. */
const HEIGHT = 20;
/** Lines per span between two points of a stroke. */
const SUBDIVISIONS = 4;
const NOISE_TABLE = 1 << 16;

/**
 * 26,000 digits: 20,000 to train, 2,000 to validate and 4,000 to test. Each image is a function of the seed and its
 * number alone: one of several ways to write the digit, points moved at random, bent by a smooth field, rotated,
 * sheared, scaled, shifted, drawn with a pen of varying thickness, then sometimes crossed by a stray line or a gap,
 * with noise. Takes about a second. On the test split a linear classifier errs at 11 %, an MLP 784-300-100-10 at 2.3 %
 * and LeNet-5 at 0.6 % (12 epochs of Adam).
 *
 * @example
 * const data = glyphs();
 * data.train.count; // 20000
 */
export function glyphs(options: { readonly seed?: number } = {}): ResidentDataset {
  const painter = new Painter(options.seed ?? 1);
  const train = painter.split(0, TRAIN);
  const validation = painter.split(TRAIN, VALIDATION);
  const test = painter.split(TRAIN + VALIDATION, TEST);
  return {
    name: "glyphs",
    channels: 1,
    height: SIDE,
    width: SIDE,
    classes: SKELETONS.map((_, digit) => String(digit)),
    train,
    validation,
    test,
  };
}

/** Draws the digits of one seed; holds what is used again for every image. */
class Painter {
  readonly #seed: number;
  readonly #raster = new Raster(SIDE);
  /** Normal numbers, of which each image reads a stretch as its noise: drawing 784 anew for each would take longest. */
  readonly #noise = new Float32Array(NOISE_TABLE);

  constructor(seed: number) {
    this.#seed = seed;
    const random = new Random(seed, "glyphs/noise");
    for (let i = 0; i < NOISE_TABLE; i++) this.#noise[i] = random.normal();
  }

  split(first: number, count: number): ResidentSplit {
    const images = new Uint8Array(count * PIXELS);
    const labels = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const random = new Random(this.#seed, "glyphs", first + i);
      const digit = random.below(SKELETONS.length);
      labels[i] = digit;
      this.#raster.clear();
      this.#write(random, digit);
      this.#finish(random, images.subarray(i * PIXELS, (i + 1) * PIXELS));
    }
    return { count, images, labels };
  }

  /** Draws one digit, in one of its forms, as one person would. */
  #write(random: Random, digit: number): void {
    const forms = SKELETONS[digit];
    const strokes = forms[random.below(forms.length)];
    const toPixels = distortion(random);
    const thickness = 0.7 + 1.0 * random.uniform();
    for (const stroke of strokes) {
      const points = moved(random, stroke);
      let radius = thickness * between(random, 0.8, 1.2);
      const end = thickness * between(random, 0.7, 1.2);
      const growth = (end - radius) / ((points.length - 1) * SUBDIVISIONS);
      let [x0, y0] = toPixels(points[0].x, points[0].y);
      for (let span = 0; span + 1 < points.length; span++) {
        for (let step = 1; step <= SUBDIVISIONS; step++) {
          const [x, y] = spline(points, span, step / SUBDIVISIONS);
          const [x1, y1] = toPixels(x, y);
          this.#raster.line(x0, y0, radius, x1, y1, radius + growth);
          radius += growth;
          x0 = x1;
          y0 = y1;
        }
      }
    }
  }

  /** Adds what is not the digit (a stray line, a gap, noise) and turns coverage into bytes. */
  #finish(random: Random, image: Uint8Array): void {
    const { coverage } = this.#raster;
    if (random.uniform() < 0.15) {
      const [x, y] = [between(random, 0, SIDE), between(random, 0, SIDE)];
      const angle = between(random, 0, 2 * Math.PI);
      const length = between(random, 2, 7);
      this.#raster.line(x, y, 0.6, x + length * Math.cos(angle), y + length * Math.sin(angle), 0.6);
    }
    const ink = between(random, 150, 255);
    const noise = between(random, 0, 24);
    const offset = random.below(NOISE_TABLE - PIXELS);
    for (let i = 0; i < PIXELS; i++) {
      const value = ink * coverage[i] + noise * this.#noise[offset + i] + 0.5;
      image[i] = value <= 0 ? 0 : value >= 255 ? 255 : value;
    }
    if (random.uniform() < 0.15) {
      const rows = random.uniform() < 0.5;
      const at = 6 + random.below(16);
      for (let i = 0; i < SIDE; i++) image[rows ? at * SIDE + i : i * SIDE + at] = 0;
    }
  }
}

/** The stroke's points, each moved a little on its own. */
function moved(random: Random, stroke: Stroke): Stroke {
  return stroke.map(({ x, y, corner }) => ({
    x: x + 0.027 * random.normal(),
    y: y + 0.027 * random.normal(),
    corner,
  }));
}

/**
 * The way from a skeleton's coordinates to pixels: a smooth elastic field (sum of two waves per axis), then shear,
 * scale, rotation and shift.
 */
function distortion(random: Random): (x: number, y: number) => [number, number] {
  const waves = Array.from({ length: 4 }, () => ({
    fx: 4 * random.normal(),
    fy: 4 * random.normal(),
    phase: between(random, 0, 2 * Math.PI),
    size: 0.03 * random.normal(),
  }));
  const [a, b, c, d] = waves;
  const angle = 0.16 * random.normal();
  const shear = 0.22 * random.normal();
  const width = HEIGHT * between(random, 0.8, 1.15);
  const height = HEIGHT * between(random, 0.85, 1.1);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const shiftX = SIDE / 2 + between(random, -1.7, 1.7);
  const shiftY = SIDE / 2 + between(random, -1.7, 1.7);
  return (x, y) => {
    const u = x - 0.5;
    const v = y - 0.5;
    const bentX =
      u + a.size * Math.sin(a.fx * u + a.fy * v + a.phase) + b.size * Math.sin(b.fx * u + b.fy * v + b.phase);
    const bentY =
      v + c.size * Math.sin(c.fx * u + c.fy * v + c.phase) + d.size * Math.sin(d.fx * u + d.fy * v + d.phase);
    const wide = width * (bentX - shear * bentY);
    const high = height * bentY;
    return [shiftX + cos * wide - sin * high, shiftY + sin * wide + cos * high];
  };
}

/** Catmull-Rom spline between points `span` and `span + 1` at t in [0, 1]; its tangent is cut at corners and ends. */
function spline(points: Stroke, span: number, t: number): [number, number] {
  const from = points[span];
  const to = points[span + 1];
  const before = span > 0 && !from.corner ? points[span - 1] : from;
  const after = span + 2 < points.length && !to.corner ? points[span + 2] : to;
  const t2 = t * t;
  const t3 = t2 * t;
  const w0 = -0.5 * t3 + t2 - 0.5 * t;
  const w1 = 1.5 * t3 - 2.5 * t2 + 1;
  const w2 = -1.5 * t3 + 2 * t2 + 0.5 * t;
  const w3 = 0.5 * t3 - 0.5 * t2;
  return [
    w0 * before.x + w1 * from.x + w2 * to.x + w3 * after.x,
    w0 * before.y + w1 * from.y + w2 * to.y + w3 * after.y,
  ];
}

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}
