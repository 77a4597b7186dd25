/** Copies between layouts. */

/** Copies [n0, n1, n2, n3]; s and t are the steps of source and target along each axis. */
export function copy(
  source: usize,
  target: usize,
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  s0: usize,
  s1: usize,
  s2: usize,
  s3: usize,
  t0: usize,
  t1: usize,
  t2: usize,
  t3: usize,
): void {
  for (let a = 0; a < n0; a++) {
    for (let b = 0; b < n1; b++) {
      let from = source + <usize>a * s0 + <usize>b * s1;
      let to = target + <usize>a * t0 + <usize>b * t1;
      for (let c = 0; c < n2; c++) {
        if (s3 == 4 && t3 == 4) {
          memory.copy(to, from, <usize>n3 << 2);
        } else {
          let i = from;
          let j = to;
          for (let d = 0; d < n3; d++) {
            store<f32>(j, load<f32>(i));
            i += s3;
            j += t3;
          }
        }
        from += s2;
        to += t2;
      }
    }
  }
}

// A call of memory.fill takes longer than a row of a small image.
function zero(address: usize, count: i32): void {
  for (const end = address + (<usize>count << 2); address < end; address += 4) store<f32>(address, 0);
}

/**
 * One phase of planes: target[y, x] = source[y0 + sy y, x0 + sx x], 0 outside of it.
 *
 * @param height of the source, as `width`
 * @param rows of the target, as `columns`
 */
export function phase(
  source: usize,
  sourcePlane: usize,
  sourceRow: usize,
  height: i32,
  width: i32,
  target: usize,
  targetPlane: usize,
  targetRow: usize,
  rows: i32,
  columns: i32,
  planes: i32,
  y0: i32,
  x0: i32,
  sy: i32,
  sx: i32,
): void {
  // Columns of the target that lie in the source: from `first` to before `end`.
  const first = min(columns, x0 < 0 ? (sx - 1 - x0) / sx : 0);
  const end = max(first, min(columns, x0 < width ? (width - 1 - x0) / sx + 1 : 0));
  for (let p = 0; p < planes; p++) {
    let to = target;
    for (let y = 0; y < rows; y++) {
      const from = y0 + sy * y;
      const isInside = from >= 0 && from < height;
      zero(to, isInside ? first : columns);
      if (isInside) {
        zero(to + (<usize>end << 2), columns - end);
        let at = source + <usize>from * sourceRow + (<usize>(x0 + sx * first) << 2);
        let out = to + (<usize>first << 2);
        const last = to + (<usize>end << 2);
        if (sx == 1) {
          memory.copy(out, at, last - out);
        } else {
          if (sx == 2) {
            // The last vector would read one value behind the row.
            for (; out + 16 < last; out += 16, at += 32) {
              v128.store(out, v128.shuffle<f32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6));
            }
          }
          for (; out < last; out += 4, at += <usize>sx << 2) store<f32>(out, load<f32>(at));
        }
      }
      to += targetRow;
    }
    source += sourcePlane;
    target += targetPlane;
  }
}
