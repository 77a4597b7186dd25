/** Pooling. */

/**
 * The largest value or the mean of each window, clamped.
 *
 * @param kind 0 the largest; 1 the mean of the cells in the input; 2 of those in the input and its padding
 * @param bottom padding below; `right` that to the right
 */
export function pool(
  kind: i32,
  input: usize,
  inputPlane: usize,
  inputRow: usize,
  height: i32,
  width: i32,
  output: usize,
  outputPlane: usize,
  outputRow: usize,
  rows: i32,
  columns: i32,
  planes: i32,
  kernelY: i32,
  kernelX: i32,
  strideY: i32,
  strideX: i32,
  dilationY: i32,
  dilationX: i32,
  top: i32,
  left: i32,
  bottom: i32,
  right: i32,
  least: f32,
  most: f32,
): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  const isPlain = kind == 0 && kernelX == 2 && kernelY == 2 && strideX == 2 && dilationX == 1 && dilationY == 1 && top == 0 && left == 0;
  for (let p = 0; p < planes; p++) {
    for (let y = 0; y < rows; y++) {
      const y0 = y * strideY - top;
      const out = output + <usize>y * outputRow;
      let x = 0;
      if (isPlain && y0 + 1 < height) {
        let at = input + <usize>y0 * inputRow;
        for (; x + 4 <= columns && 2 * x + 8 <= width; x += 4, at += 32) {
          const a = f32x4.pmax(v128.load(at), v128.load(at + inputRow));
          const b = f32x4.pmax(v128.load(at, 16), v128.load(at + inputRow, 16));
          const best = f32x4.pmax(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
          v128.store(out + (<usize>x << 2), f32x4.pmin(f32x4.pmax(best, low), high));
        }
      }
      for (; x < columns; x++) {
        const x0 = x * strideX - left;
        let best: f32 = -Infinity;
        let sum: f32 = 0;
        let count = 0;
        for (let i = 0; i < kernelY; i++) {
          const yi = y0 + i * dilationY;
          for (let j = 0; j < kernelX; j++) {
            const xj = x0 + j * dilationX;
            if (yi >= 0 && yi < height && xj >= 0 && xj < width) {
              const value = load<f32>(input + <usize>yi * inputRow + (<usize>xj << 2));
              best = max(best, value);
              sum += value;
              count++;
            } else if (kind == 2 && yi < height + bottom && xj < width + right) {
              count++;
            }
          }
        }
        store<f32>(out + (<usize>x << 2), min(max(kind == 0 ? best : sum / <f32>count, least), most));
      }
    }
    input += inputPlane;
    output += outputPlane;
  }
}

/** output[p] = scale * the sum of a plane, between whose rows are zeros. */
export function sums(input: usize, plane: usize, planes: i32, vectors: i32, output: usize, outputStep: usize, scale: f32): void {
  for (let p = 0; p < planes; p++) {
    let s = f32x4.splat(0);
    for (let i: usize = 0, end = <usize>vectors << 4; i < end; i += 16) s = f32x4.add(s, v128.load(input + i));
    const sum =
      f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) + (f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3));
    store<f32>(output, sum * scale);
    input += plane;
    output += outputStep;
  }
}
