/** Images in other sizes. */

/**
 * output[y, x] lies between two rows and two columns of the input.
 *
 * @param ys for each row of the output two distances in the input, and the weight of the second; `xs` for each column
 */
export function resize(
  input: usize,
  inputPlane: usize,
  output: usize,
  outputPlane: usize,
  outputRow: usize,
  planes: i32,
  rows: i32,
  columns: i32,
  ys: usize,
  xs: usize,
): void {
  for (let p = 0; p < planes; p++) {
    for (let y = 0; y < rows; y++) {
      const ty = ys + <usize>(12 * y);
      const above = input + load<u32>(ty);
      const below = input + load<u32>(ty, 4);
      const down = load<f32>(ty, 8);
      const out = output + <usize>y * outputRow;
      for (let x = 0; x < columns; x++) {
        const tx = xs + <usize>(12 * x);
        const left = load<u32>(tx);
        const right = load<u32>(tx, 4);
        const aside = load<f32>(tx, 8);
        const upper = load<f32>(above + left) * (1 - aside) + load<f32>(above + right) * aside;
        const lower = load<f32>(below + left) * (1 - aside) + load<f32>(below + right) * aside;
        store<f32>(out + (<usize>x << 2), upper * (1 - down) + lower * down);
      }
    }
    input += inputPlane;
    output += outputPlane;
  }
}
