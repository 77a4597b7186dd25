/** Fully connected layers for one sample: four outputs, one below the other, are the lanes of a vector. */

@inline
function finish(sum: v128, output: usize, residual: usize, low: v128, high: v128): void {
  if (residual != 0) sum = f32x4.add(sum, v128.load(output + residual));
  v128.store(output, f32x4.pmin(f32x4.pmax(sum, low), high));
}

/** The inputs of four rows, by their four addresses. */
@inline
function gather(entry: usize): v128 {
  let x = v128.load32_zero(load<u32>(entry));
  x = v128.load32_lane(load<u32>(entry, 4), x, 1);
  x = v128.load32_lane(load<u32>(entry, 8), x, 2);
  return v128.load32_lane(load<u32>(entry, 12), x, 3);
}

/**
 * output = clamp(bias + sum of weight * input (+ residual), low, high), each row with inputs of its own.
 *
 * @param entries of four rows each: four addresses of inputs, four weights; short rows end with weights of 0
 * @param ends of each four rows, where their entries end (u32)
 * @param residual what is added, in bytes from the output; 0 for nothing
 */
export function rows1(
  entries: usize,
  ends: usize,
  fours: i32,
  output: usize,
  bias: usize,
  residual: usize,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  for (let i = 0; i < fours; i++) {
    const end: usize = load<u32>(ends);
    let s = v128.load(bias);
    let t = f32x4.splat(0);
    for (; entries + 32 < end; entries += 64) {
      s = f32x4.add(s, f32x4.mul(v128.load(entries, 16), gather(entries)));
      t = f32x4.add(t, f32x4.mul(v128.load(entries, 48), gather(entries + 32)));
    }
    if (entries < end) s = f32x4.add(s, f32x4.mul(v128.load(entries, 16), gather(entries)));
    finish(f32x4.add(s, t), output, residual, low, high);
    entries = end;
    ends += 4;
    bias += 16;
    output += 16;
  }
}

/** As `rows1`, for rows that read the same inputs in fours; an entry is an address and four weights. */
export function rows4(
  entries: usize,
  ends: usize,
  fours: i32,
  output: usize,
  bias: usize,
  residual: usize,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  for (let i = 0; i < fours; i++) {
    const end: usize = load<u32>(ends);
    let s = v128.load(bias);
    let t = f32x4.splat(0);
    let u = t;
    let v = t;
    for (const last = end - 60; entries < last; entries += 80) {
      s = f32x4.add(s, f32x4.mul(v128.load(entries, 4), v128.load32_splat(load<u32>(entries))));
      t = f32x4.add(t, f32x4.mul(v128.load(entries, 24), v128.load32_splat(load<u32>(entries, 20))));
      u = f32x4.add(u, f32x4.mul(v128.load(entries, 44), v128.load32_splat(load<u32>(entries, 40))));
      v = f32x4.add(v, f32x4.mul(v128.load(entries, 64), v128.load32_splat(load<u32>(entries, 60))));
    }
    for (; entries < end; entries += 20) {
      s = f32x4.add(s, f32x4.mul(v128.load(entries, 4), v128.load32_splat(load<u32>(entries))));
    }
    finish(f32x4.add(f32x4.add(s, t), f32x4.add(u, v)), output, residual, low, high);
    ends += 4;
    bias += 16;
    output += 16;
  }
}
