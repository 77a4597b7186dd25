/** A small grey canvas on which strokes are drawn with smooth edges. */

/** Coverage, 0 to 1, of the pixels of a square image; pixel (row, column) is centred at (column + 0.5, row + 0.5). */
export class Raster {
  readonly side: number;
  readonly coverage: Float32Array;

  constructor(side: number) {
    this.side = side;
    this.coverage = new Float32Array(side * side);
  }

  clear(): void {
    this.coverage.fill(0);
  }

  /**
   * Draws a line with round ends from (x0, y0), where its half thickness is r0, to (x1, y1), where it is r1; all in
   * pixels. A pixel is covered by how far its centre lies inside the edge, over one pixel. Where lines overlap the
   * larger coverage counts, so that a chain of lines has no seams.
   */
  line(x0: number, y0: number, r0: number, x1: number, y1: number, r1: number): void {
    const { side, coverage } = this;
    const reach = Math.max(r0, r1) + 0.5;
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
    const right = Math.min(side - 1, Math.floor(Math.max(x0, x1) + reach));
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
    const bottom = Math.min(side - 1, Math.floor(Math.max(y0, y1) + reach));
    const dx = x1 - x0;
    const dy = y1 - y0;
    const lengthSquared = dx * dx + dy * dy;
    const inverse = lengthSquared > 0 ? 1 / lengthSquared : 0;
    for (let row = top; row <= bottom; row++) {
      const py = row + 0.5 - y0;
      for (let column = left; column <= right; column++) {
        const px = column + 0.5 - x0;
        let t = (px * dx + py * dy) * inverse;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        const ex = px - t * dx;
        const ey = py - t * dy;
        const inside = r0 + t * (r1 - r0) + 0.5 - Math.sqrt(ex * ex + ey * ey);
        const at = row * side + column;
        if (inside > coverage[at]) coverage[at] = inside < 1 ? inside : 1;
      }
    }
  }
}
