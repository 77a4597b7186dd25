/**
 * Fake quantization of weights and its gradients, by the formulas of src/host/quantizer.ts, in one pass over memory each; and
 * masks where each unit is one weight.
 *
 * Sums over a channel are in double precision and in a fixed order. Lines need not be whole vectors: what the last one reads of the
 * line that follows counts for nothing and stays as it is, so a number less than a vector may be read and written behind the last
 * line.
 */

import { Quantizer } from "./structures";

/** 1.5 * 2^23: a number of up to 2^22 plus this, less this, is rounded to a whole one, ties to even, and never -0. And the sign's bit. */
const CONSTANTS: usize = memory.data<f32>([12582912, -0.0], 4);
/** From the place 4 - i on: the first i lanes. */
const LANES: usize = memory.data<i32>([-1, -1, -1, -1, 0, 0, 0, 0], 16);

/** No scale is smaller: a channel of zeros still has one, as exporters and onnxruntime divide by it. */
const SMALLEST_SCALE: f32 = 1e-8;

/** The first lanes of a vector, so many. */
@inline
function firstLanes(count: i32): v128 {
  return v128.load(LANES + ((<usize>(4 - count)) << 2));
}

/** The whole number that is nearest to a ratio between -most and most; these beyond. NaN stays NaN. */
@inline
function codes(ratio: v128, most: v128, least: v128): v128 {
  const magic = v128.load32_splat(CONSTANTS);
  const clamped = f32x4.pmax(f32x4.pmin(ratio, most), least);
  return f32x4.sub(f32x4.add(clamped, magic), magic);
}

/** x where the weight is not below 0, else -x. */
@inline
function signed(weight: v128, x: v128): v128 {
  const negative = f32x4.lt(weight, f32x4.splat(0));
  return v128.xor(x, v128.and(negative, v128.load32_splat(CONSTANTS, 4)));
}

/** The two last numbers, in double precision. */
@inline
function promoteHigh(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3));
}

@inline
function sumOfLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/** All lanes whose number is not 0. */
@inline
function keptLanes(kept: usize): v128 {
  return f32x4.ne(v128.load(kept), f32x4.splat(0));
}

/** Adds a vector to four sums in double precision. */
@inline
function addTo(sums: usize, product: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(product)));
  v128.store(sums, f64x2.add(v128.load(sums, 16), promoteHigh(product)), 16);
}

@inline
function quantizeLines(quantizer: Quantizer, across: bool, binary: bool, masked: bool): void {
  let weight = quantizer.weight;
  let quantized = quantizer.quantized;
  let kept = quantizer.mask;
  const scales = quantizer.scales;
  const lines = quantizer.lines;
  const highest = f32x4.splat(quantizer.most);
  const lowest = f32x4.splat(-quantizer.most);
  const bytes = (<usize>quantizer.length) << 2;
  for (let line = 0; line < lines; line++) {
    let s = v128.load32_splat(scales + (across ? 0 : (<usize>line) << 2));
    for (let at: usize = 0; at < bytes; at += 16) {
      if (across) s = v128.load(scales + at);
      const w = v128.load(weight + at);
      const value = binary ? signed(w, s) : f32x4.mul(codes(f32x4.div(w, s), highest, lowest), s);
      v128.store(quantized + at, masked ? v128.and(value, keptLanes(kept + at)) : value);
    }
    weight += bytes;
    quantized += bytes;
    if (masked) kept += bytes;
  }
}

/** Writes what a step is to see of a weight: s clamp(round(w / s), -most, most), or s sign(w). */
export function quantize(quantizer: Quantizer): void {
  const binary = quantizer.most == 0;
  if (quantizer.mask != 0) {
    if (binary) quantizeLines(quantizer, false, true, true);
    else quantizeLines(quantizer, false, false, true);
  } else if (quantizer.across != 0) {
    if (binary) quantizeLines(quantizer, true, true, false);
    else quantizeLines(quantizer, true, false, false);
  } else if (binary) quantizeLines(quantizer, false, true, false);
  else quantizeLines(quantizer, false, false, false);
}

/**
 * Replaces a vector of the gradient by the straight-through one, in `lanes`; where the weight is masked, writes the mask's.
 *
 * @returns what it adds to the gradient of the scale
 */
@inline
function through(
  weight: usize,
  gradient: usize,
  kept: usize,
  ofMask: usize,
  s: v128,
  most: v128,
  least: v128,
  limit: v128,
  lanes: v128,
  whole: bool,
  binary: bool,
  masked: bool,
): v128 {
  const w = v128.load(weight);
  const old = v128.load(gradient);
  const g = masked ? v128.and(old, keptLanes(kept)) : old;
  let passed: v128;
  let factor: v128;
  if (binary) {
    passed = v128.and(f32x4.mul(s, g), f32x4.le(f32x4.abs(w), limit));
    // `most` is 1.
    factor = signed(w, most);
    if (masked) v128.store(ofMask, f32x4.mul(old, signed(w, s)));
  } else {
    const ratio = f32x4.div(w, s);
    const outside = f32x4.gt(f32x4.abs(ratio), limit);
    passed = v128.andnot(g, outside);
    const code = codes(ratio, most, least);
    factor = f32x4.sub(code, v128.andnot(ratio, outside));
    if (masked) v128.store(ofMask, f32x4.mul(old, f32x4.mul(code, s)));
  }
  const product = f32x4.mul(g, factor);
  v128.store(gradient, whole ? passed : v128.bitselect(passed, old, lanes));
  return whole ? product : v128.and(product, lanes);
}

@inline
function throughLines(quantizer: Quantizer, binary: bool, masked: bool): void {
  let weight = quantizer.weight;
  let gradient = quantizer.gradient;
  let kept = quantizer.mask;
  let ofMask = quantizer.quantized;
  const scales = quantizer.scales;
  const sums = quantizer.sums;
  const lines = quantizer.lines;
  const length = quantizer.length;
  const most: f32 = binary ? 1 : quantizer.most;
  const highest = f32x4.splat(most);
  const lowest = f32x4.splat(-most);
  const limits = f32x4.splat(quantizer.limit);
  const last = firstLanes(length & 3);
  const bytes = (<usize>length) << 2;
  const whole = bytes & ~15;
  for (let line = 0; line < lines; line++) {
    const s = v128.load32_splat(scales + ((<usize>line) << 2));
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let at: usize = 0; at < whole; at += 16) {
      const w = weight + at;
      const g = gradient + at;
      const m = kept + at;
      const u = ofMask + at;
      const product = through(w, g, m, u, s, highest, lowest, limits, last, true, binary, masked);
      low = f64x2.add(low, f64x2.promote_low_f32x4(product));
      high = f64x2.add(high, promoteHigh(product));
    }
    if (whole < bytes) {
      const w = weight + whole;
      const g = gradient + whole;
      const m = kept + whole;
      const u = ofMask + whole;
      const product = through(w, g, m, u, s, highest, lowest, limits, last, false, binary, masked);
      low = f64x2.add(low, f64x2.promote_low_f32x4(product));
      high = f64x2.add(high, promoteHigh(product));
    }
    store<f64>(sums + ((<usize>line) << 3), sumOfLanes(f64x2.add(low, high)));
    weight += bytes;
    gradient += bytes;
    if (masked) {
      kept += bytes;
      ofMask += bytes;
    }
  }
}

@inline
function throughAcross(quantizer: Quantizer, binary: bool): void {
  let weight = quantizer.weight;
  let gradient = quantizer.gradient;
  const scales = quantizer.scales;
  const sums = quantizer.sums;
  const lines = quantizer.lines;
  const length = quantizer.length;
  const most: f32 = binary ? 1 : quantizer.most;
  const highest = f32x4.splat(most);
  const lowest = f32x4.splat(-most);
  const limits = f32x4.splat(quantizer.limit);
  const last = firstLanes(length & 3);
  const bytes = (<usize>length) << 2;
  const whole = bytes & ~15;
  memory.fill(sums, 0, (<usize>((length + 3) & ~3)) << 3);
  for (let line = 0; line < lines; line++) {
    for (let at: usize = 0; at < whole; at += 16) {
      const w = weight + at;
      const g = gradient + at;
      const s = v128.load(scales + at);
      addTo(sums + (at << 1), through(w, g, 0, 0, s, highest, lowest, limits, last, true, binary, false));
    }
    if (whole < bytes) {
      const w = weight + whole;
      const g = gradient + whole;
      const s = v128.load(scales + whole);
      addTo(sums + (whole << 1), through(w, g, 0, 0, s, highest, lowest, limits, last, false, binary, false));
    }
    weight += bytes;
    gradient += bytes;
  }
}

/**
 * Replaces the gradient of what a step saw of a weight by that of the weight, and writes that of the scales; and that of the mask, if
 * there is one: that of what the step saw times what it would see if all were kept.
 */
export function quantizeBackward(quantizer: Quantizer): void {
  if (quantizer.most == 0) {
    if (quantizer.mask != 0) throughLines(quantizer, true, true);
    else if (quantizer.across != 0) throughAcross(quantizer, true);
    else throughLines(quantizer, true, false);
  } else if (quantizer.mask != 0) throughLines(quantizer, false, true);
  else if (quantizer.across != 0) throughAcross(quantizer, false);
  else throughLines(quantizer, false, false);
}

/** The magnitudes of the kept weights of a vector, and 0 for the others. */
@inline
function magnitudes(weight: usize, kept: v128): v128 {
  return v128.and(f32x4.abs(v128.load(weight)), kept);
}

/** Sets scales to max|w| / most of each channel's kept weights. */
export function fitLargest(quantizer: Quantizer): void {
  let weight = quantizer.weight;
  let kept = quantizer.kept;
  const scales = quantizer.scales;
  const lines = quantizer.lines;
  const length = quantizer.length;
  const across = quantizer.across != 0;
  const most = quantizer.most;
  const bytes = (<usize>length) << 2;
  const channels = across ? length : lines;
  memory.fill(scales, 0, (<usize>((channels + 3) & ~3)) << 2);
  for (let line = 0; line < lines; line++) {
    let largest = f32x4.splat(0);
    for (let i = 0; i < length; i += 4) {
      const at = (<usize>i) << 2;
      if (across) largest = v128.load(scales + at);
      largest = f32x4.pmax(largest, magnitudes(weight + at, v128.and(keptLanes(kept + at), firstLanes(min(4, length - i)))));
      if (across) v128.store(scales + at, largest);
    }
    if (!across) {
      const two = f32x4.pmax(largest, v128.shuffle<i32>(largest, largest, 2, 3, 0, 1));
      store<f32>(scales + ((<usize>line) << 2), max(f32x4.extract_lane(two, 0), f32x4.extract_lane(two, 1)));
    }
    weight += bytes;
    kept += bytes;
  }
  for (let channel = 0; channel < channels; channel++) {
    const at = scales + ((<usize>channel) << 2);
    store<f32>(at, max(SMALLEST_SCALE, load<f32>(at) / most));
  }
}

/** Sets scales to mean|w| of each channel's kept weights. */
export function fitMean(quantizer: Quantizer): void {
  let weight = quantizer.weight;
  let kept = quantizer.kept;
  const scales = quantizer.scales;
  const sums = quantizer.sums;
  const lines = quantizer.lines;
  const length = quantizer.length;
  const across = quantizer.across != 0;
  const bytes = (<usize>length) << 2;
  const channels = across ? length : lines;
  // Counts lie where the scales will.
  memory.fill(scales, 0, (<usize>((channels + 3) & ~3)) << 2);
  memory.fill(sums, 0, (<usize>((channels + 3) & ~3)) << 3);
  for (let line = 0; line < lines; line++) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let count = i32x4.splat(0);
    for (let i = 0; i < length; i += 4) {
      const at = (<usize>i) << 2;
      const own = v128.and(keptLanes(kept + at), firstLanes(min(4, length - i)));
      const values = magnitudes(weight + at, own);
      if (across) {
        addTo(sums + (at << 1), values);
        v128.store(scales + at, i32x4.sub(v128.load(scales + at), own));
      } else {
        low = f64x2.add(low, f64x2.promote_low_f32x4(values));
        high = f64x2.add(high, promoteHigh(values));
        count = i32x4.sub(count, own);
      }
    }
    if (!across) {
      const at = (<usize>line) << 2;
      store<f64>(sums + (at << 1), sumOfLanes(f64x2.add(low, high)));
      const two = i32x4.add(count, v128.shuffle<i32>(count, count, 2, 3, 0, 1));
      store<i32>(scales + at, i32x4.extract_lane(two, 0) + i32x4.extract_lane(two, 1));
    }
    weight += bytes;
    kept += bytes;
  }
  for (let channel = 0; channel < channels; channel++) {
    const at = (<usize>channel) << 2;
    const mean = load<f64>(sums + (at << 1)) / (<f64>max(1, load<i32>(scales + at)));
    store<f32>(scales + at, max(SMALLEST_SCALE, <f32>mean));
  }
}

/** Bytes of a weight. What is rounded up to whole vectors may be read and written. */
@inline
function bytesOf(quantizer: Quantizer): usize {
  return (<usize>(quantizer.lines * quantizer.length)) << 2;
}

/** Writes what a step is to see of a weight that is not quantized, but masked. */
export function mask(quantizer: Quantizer): void {
  const weight = quantizer.weight;
  const kept = quantizer.mask;
  const masked = quantizer.quantized;
  const bytes = bytesOf(quantizer);
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(masked + at, v128.and(v128.load(weight + at), keptLanes(kept + at)));
  }
}

/** Makes the gradient of such a weight of that of what the step saw, and writes that of the mask. */
export function maskBackward(quantizer: Quantizer): void {
  const weight = quantizer.weight;
  const kept = quantizer.mask;
  const gradient = quantizer.gradient;
  const ofMask = quantizer.quantized;
  const bytes = bytesOf(quantizer);
  for (let at: usize = 0; at < bytes; at += 16) {
    const g = v128.load(gradient + at);
    v128.store(ofMask + at, f32x4.mul(g, v128.load(weight + at)));
    v128.store(gradient + at, v128.and(g, keptLanes(kept + at)));
  }
}
