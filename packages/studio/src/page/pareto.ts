/** Which points no other point beats. */

export interface Point {
  readonly x: number;
  /** More is better. */
  readonly y: number;
}

/**
 * The points for which no other has as much of both and more of one, by ascending x.
 *
 * @param better whether more or less x is better.
 */
export function paretoFront<P extends Point>(points: readonly P[], better: "more" | "less"): P[] {
  const sign = better === "more" ? -1 : 1;
  // From the best x on, with the best y of equal x first, a point is on the front if its y is higher than all before.
  const sorted = [...points].sort((one, other) => sign * (one.x - other.x) || other.y - one.y);
  const front: P[] = [];
  for (const point of sorted) {
    const last = front.at(-1);
    const equal = last?.x === point.x && last.y === point.y;
    if (last === undefined || point.y > last.y || equal) front.push(point);
  }
  return front.sort((one, other) => one.x - other.x);
}
