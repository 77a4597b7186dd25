/**
 * Convolution as sums of shifted planes. A tap is a kept weight and the distance of its input from the output in bytes; planes lie
 * row by row with zeros between them, so a tap moves a whole run of outputs at once, over ends of rows too. What that makes of
 * the cells between rows is masked away.
 */

/** Bytes of a tap of one channel: distance, weight. */
const TAP: usize = 8;
/** Bytes of a tap of four channels: distance, four weights. */
const TAP4: usize = 20;
/** Most vectors of one channel that are summed up side by side: 8 sums and what they need fit into 16 registers. */
const BLOCK: i32 = 8;

@inline
function finish(sum: v128, output: usize, residual: usize, mask: usize, low: v128, high: v128): void {
  if (residual != 0) sum = f32x4.add(sum, v128.load(output + residual));
  sum = f32x4.pmin(f32x4.pmax(sum, low), high);
  v128.store(output, v128.and(sum, v128.load(mask)));
}

/** One block of n vectors of one channel. */
@inline
function block(
  n: i32,
  tap: usize,
  end: usize,
  input: usize,
  output: usize,
  start: v128,
  residual: usize,
  mask: usize,
  low: v128,
  high: v128,
): void {
  let s0 = start;
  let s1 = start;
  let s2 = start;
  let s3 = start;
  let s4 = start;
  let s5 = start;
  let s6 = start;
  let s7 = start;
  if (n <= 4) {
    // Few sums would wait for each other: every other tap has sums of its own.
    let t0 = f32x4.splat(0);
    let t1 = t0;
    let t2 = t0;
    let t3 = t0;
    for (const last = end - TAP; tap < last; tap += 2 * TAP) {
      const at = input + load<u32>(tap);
      const w = v128.load32_splat(tap, 4);
      s0 = f32x4.add(s0, f32x4.mul(w, v128.load(at)));
      if (n > 1) s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at, 16)));
      if (n > 2) s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at, 32)));
      if (n > 3) s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at, 48)));
      const next = input + load<u32>(tap, 8);
      const v = v128.load32_splat(tap, 12);
      t0 = f32x4.add(t0, f32x4.mul(v, v128.load(next)));
      if (n > 1) t1 = f32x4.add(t1, f32x4.mul(v, v128.load(next, 16)));
      if (n > 2) t2 = f32x4.add(t2, f32x4.mul(v, v128.load(next, 32)));
      if (n > 3) t3 = f32x4.add(t3, f32x4.mul(v, v128.load(next, 48)));
    }
    s0 = f32x4.add(s0, t0);
    if (n > 1) s1 = f32x4.add(s1, t1);
    if (n > 2) s2 = f32x4.add(s2, t2);
    if (n > 3) s3 = f32x4.add(s3, t3);
  }
  for (; tap < end; tap += TAP) {
    const at = input + load<u32>(tap);
    const w = v128.load32_splat(tap, 4);
    s0 = f32x4.add(s0, f32x4.mul(w, v128.load(at)));
    if (n > 1) s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at, 16)));
    if (n > 2) s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at, 32)));
    if (n > 3) s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at, 48)));
    if (n > 4) s4 = f32x4.add(s4, f32x4.mul(w, v128.load(at, 64)));
    if (n > 5) s5 = f32x4.add(s5, f32x4.mul(w, v128.load(at, 80)));
    if (n > 6) s6 = f32x4.add(s6, f32x4.mul(w, v128.load(at, 96)));
    if (n > 7) s7 = f32x4.add(s7, f32x4.mul(w, v128.load(at, 112)));
  }
  finish(s0, output, residual, mask, low, high);
  if (n > 1) finish(s1, output + 16, residual, mask + 16, low, high);
  if (n > 2) finish(s2, output + 32, residual, mask + 32, low, high);
  if (n > 3) finish(s3, output + 48, residual, mask + 48, low, high);
  if (n > 4) finish(s4, output + 64, residual, mask + 64, low, high);
  if (n > 5) finish(s5, output + 80, residual, mask + 80, low, high);
  if (n > 6) finish(s6, output + 96, residual, mask + 96, low, high);
  if (n > 7) finish(s7, output + 112, residual, mask + 112, low, high);
}

/** Blocks of n vectors of all channels, one below the other. */
@inline
function blocks(
  n: i32,
  taps: usize,
  ends: usize,
  channels: i32,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  mask: usize,
  low: v128,
  high: v128,
): void {
  for (let c = 0; c < channels; c++) {
    const end: usize = load<u32>(ends);
    block(n, taps, end, input, output, v128.load32_splat(bias), residual, mask, low, high);
    taps = end;
    ends += 4;
    bias += 4;
    output += plane;
  }
}

/**
 * output[c] = mask & clamp(bias[c] + sum over taps of weight * input[. + distance] (+ residual), low, high)
 *
 * @param taps of all channels, one after the other
 * @param ends of each channel, where its taps end (u32)
 * @param plane bytes from an output plane to the next
 * @param residual what is added, in bytes from the output; 0 for nothing
 * @param mask of one plane: all bits set in its cells, else 0
 * @param vectors of a plane
 */
export function taps1(
  taps: usize,
  ends: usize,
  channels: i32,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  mask: usize,
  vectors: i32,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  let left = (vectors + BLOCK - 1) / BLOCK;
  while (left > 0) {
    // As equal as can be.
    const n = (vectors + left - 1) / left;
    switch (n) {
      case 8: blocks(8, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 7: blocks(7, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 6: blocks(6, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 5: blocks(5, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 4: blocks(4, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 3: blocks(3, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      case 2: blocks(2, taps, ends, channels, input, output, plane, bias, residual, mask, low, high); break;
      default: blocks(1, taps, ends, channels, input, output, plane, bias, residual, mask, low, high);
    }
    vectors -= n;
    left--;
    const done = <usize>n << 4;
    input += done;
    output += done;
    mask += done;
  }
}

/**
 * Sums of c vectors of a row, 1 or 2, in each of four rows. c is the size of the type C, as the
 * compiler decides on sizes of types but not on numbers in deep loops.
 */
@inline
function blockRows<C>(
  tap: usize,
  end: usize,
  input: usize,
  row: usize,
  output: usize,
  start: v128,
  residual: usize,
  low: v128,
  high: v128,
): void {
  let s0 = start;
  let s1 = start;
  let s2 = start;
  let s3 = start;
  let s4 = start;
  let s5 = start;
  let s6 = start;
  let s7 = start;
  if (sizeof<C>() == 1) {
    // Few sums would wait for each other: every other tap has sums of its own.
    s4 = f32x4.splat(0);
    s5 = s4;
    s6 = s4;
    s7 = s4;
    for (const last = end - TAP; tap < last; tap += 2 * TAP) {
      let at = input + load<u32>(tap);
      const w = v128.load32_splat(tap, 4);
      s0 = f32x4.add(s0, f32x4.mul(w, v128.load(at)));
      at += row;
      s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at)));
      at += row;
      s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at)));
      s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at + row)));
      at = input + load<u32>(tap, 8);
      const v = v128.load32_splat(tap, 12);
      s4 = f32x4.add(s4, f32x4.mul(v, v128.load(at)));
      at += row;
      s5 = f32x4.add(s5, f32x4.mul(v, v128.load(at)));
      at += row;
      s6 = f32x4.add(s6, f32x4.mul(v, v128.load(at)));
      s7 = f32x4.add(s7, f32x4.mul(v, v128.load(at + row)));
    }
    s0 = f32x4.add(s0, s4);
    s1 = f32x4.add(s1, s5);
    s2 = f32x4.add(s2, s6);
    s3 = f32x4.add(s3, s7);
  }
  for (; tap < end; tap += TAP) {
    let at = input + load<u32>(tap);
    const w = v128.load32_splat(tap, 4);
    s0 = f32x4.add(s0, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() > 1) s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at, 16)));
    at += row;
    if (sizeof<C>() == 1) s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at, 16)));
    at += row;
    if (sizeof<C>() == 1) s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s4 = f32x4.add(s4, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s5 = f32x4.add(s5, f32x4.mul(w, v128.load(at, 16)));
    at += row;
    if (sizeof<C>() == 1) s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s6 = f32x4.add(s6, f32x4.mul(w, v128.load(at)));
    if (sizeof<C>() == 2) s7 = f32x4.add(s7, f32x4.mul(w, v128.load(at, 16)));
  }
  finishWhole(s0, output, residual, low, high);
  if (sizeof<C>() > 1) finishWhole(s1, output + 16, residual, low, high);
  output += row;
  if (sizeof<C>() == 1) finishWhole(s1, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s2, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s3, output + 16, residual, low, high);
  output += row;
  if (sizeof<C>() == 1) finishWhole(s2, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s4, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s5, output + 16, residual, low, high);
  output += row;
  if (sizeof<C>() == 1) finishWhole(s3, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s6, output, residual, low, high);
  if (sizeof<C>() == 2) finishWhole(s7, output + 16, residual, low, high);
}

@inline
function finishWhole(sum: v128, output: usize, residual: usize, low: v128, high: v128): void {
  if (residual != 0) sum = f32x4.add(sum, v128.load(output + residual));
  v128.store(output, f32x4.pmin(f32x4.pmax(sum, low), high));
}

function blocksOfRows<C>(
  taps: usize,
  ends: usize,
  channels: i32,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  rows: i32,
  columns: i32,
  row: usize,
  low: v128,
  high: v128,
): void {
  for (let y = 0; y < rows; y += 4) {
    const line = <usize>y * row;
    for (let x = 0; x < columns; x += 4 * <i32>sizeof<C>()) {
      const cell = line + (<usize>x << 2);
      let tap = taps;
      let out = output + cell;
      for (let i: usize = 0, last = <usize>channels << 2; i < last; i += 4) {
        const end: usize = load<u32>(ends + i);
        blockRows<C>(tap, end, input + cell, row, out, v128.load32_splat(bias + i), residual, low, high);
        tap = end;
        out += plane;
      }
    }
  }
}

/**
 * As `taps1`, without a mask, in blocks of `width` vectors (1 or 2) in 4 rows; `rows` and `columns` are multiples of these,
 * and `row` bytes lie from a row to the next in input and output.
 */
export function tapsRows(
  width: i32,
  taps: usize,
  ends: usize,
  channels: i32,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  rows: i32,
  columns: i32,
  row: usize,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  if (width == 2) blocksOfRows<i16>(taps, ends, channels, input, output, plane, bias, residual, rows, columns, row, low, high);
  else blocksOfRows<i8>(taps, ends, channels, input, output, plane, bias, residual, rows, columns, row, low, high);
}

/** n vectors of four channels. */
@inline
function block4(
  n: i32,
  tap: usize,
  end: usize,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  mask: usize,
  low: v128,
  high: v128,
): void {
  let a0 = v128.load32_splat(bias);
  let b0 = v128.load32_splat(bias, 4);
  let c0 = v128.load32_splat(bias, 8);
  let d0 = v128.load32_splat(bias, 12);
  let a1 = a0;
  let b1 = b0;
  let c1 = c0;
  let d1 = d0;
  for (; tap < end; tap += TAP4) {
    const at = input + load<u32>(tap);
    const x0 = v128.load(at);
    const x1 = v128.load(at, 16);
    let w = v128.load32_splat(tap, 4);
    a0 = f32x4.add(a0, f32x4.mul(w, x0));
    if (n > 1) a1 = f32x4.add(a1, f32x4.mul(w, x1));
    w = v128.load32_splat(tap, 8);
    b0 = f32x4.add(b0, f32x4.mul(w, x0));
    if (n > 1) b1 = f32x4.add(b1, f32x4.mul(w, x1));
    w = v128.load32_splat(tap, 12);
    c0 = f32x4.add(c0, f32x4.mul(w, x0));
    if (n > 1) c1 = f32x4.add(c1, f32x4.mul(w, x1));
    w = v128.load32_splat(tap, 16);
    d0 = f32x4.add(d0, f32x4.mul(w, x0));
    if (n > 1) d1 = f32x4.add(d1, f32x4.mul(w, x1));
  }
  finish(a0, output, residual, mask, low, high);
  if (n > 1) finish(a1, output + 16, residual, mask + 16, low, high);
  output += plane;
  finish(b0, output, residual, mask, low, high);
  if (n > 1) finish(b1, output + 16, residual, mask + 16, low, high);
  output += plane;
  finish(c0, output, residual, mask, low, high);
  if (n > 1) finish(c1, output + 16, residual, mask + 16, low, high);
  output += plane;
  finish(d0, output, residual, mask, low, high);
  if (n > 1) finish(d1, output + 16, residual, mask + 16, low, high);
}

/** As `taps1`, for channels that have the same distances in fours: `ends` has one entry for four of them. */
export function taps4(
  taps: usize,
  ends: usize,
  channels: i32,
  input: usize,
  output: usize,
  plane: usize,
  bias: usize,
  residual: usize,
  mask: usize,
  vectors: i32,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  for (let v = 0; v < vectors; v += 2) {
    let tap = taps;
    let out = output;
    for (let c = 0; c < channels; c += 4) {
      const end: usize = load<u32>(ends + <usize>c);
      const offsets = bias + (<usize>c << 2);
      if (v + 1 < vectors) block4(2, tap, end, input, out, plane, offsets, residual, mask, low, high);
      else block4(1, tap, end, input, out, plane, offsets, residual, mask, low, high);
      tap = end;
      out += 4 * plane;
    }
    input += 32;
    output += 32;
    mask += 32;
  }
}
