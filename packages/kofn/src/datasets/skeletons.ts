/** The pen strokes of the digits, as people write them: what the built-in data set `glyphs` is drawn from. */

/** A point that a stroke passes through, in units of the digit's height: x to the right, y down. */
export interface StrokePoint {
  readonly x: number;
  readonly y: number;
  /** Whether the pen turns sharply here; elsewhere a stroke is smooth. */
  readonly corner: boolean;
}

/** The pen's way from touching the paper to leaving it. */
export type Stroke = readonly StrokePoint[];

/** For each digit the ways in which it is written; each of them is a list of strokes. Hundredths, `!` marks a corner. */
const WRITTEN: readonly (readonly (readonly string[])[])[] = [
  // 0: an oval, a narrow one, one whose ends cross at the top, and one that stays open.
  [
    ["50 5, 28 16, 20 50, 28 84, 50 95, 72 84, 80 50, 72 16, 50 5"],
    ["52 5, 37 20, 32 50, 36 82, 49 95, 63 80, 68 50, 64 18, 52 5"],
    ["66 16, 46 6, 25 26, 20 58, 34 90, 60 93, 78 66, 76 30, 58 7, 40 4"],
    ["44 6, 24 24, 20 60, 36 92, 62 92, 79 62, 74 26, 58 8"],
  ],
  // 1: a line, with a flag, with flag and foot, and a line that leans.
  [
    ["50 5, 50 50, 50 95"],
    ["34 26, 45 16, 54 5!, 54 50, 54 95"],
    ["33 22, 52 5!, 52 50, 52 95", "32 95, 74 95"],
    ["64 5, 52 45, 38 95"],
  ],
  // 2: with a straight foot, with a loop at the foot, with a swung foot, and angular.
  [
    ["22 26, 36 8, 60 7, 74 25, 65 47, 42 72, 22 94!, 78 94"],
    ["24 24, 40 7, 66 10, 73 30, 56 58, 32 87, 19 90, 23 77, 42 82, 60 94, 80 87"],
    ["26 20, 46 5, 70 18, 66 42, 42 72, 20 92!, 40 84, 60 93, 80 90"],
    ["24 14, 48 6, 72 16, 66 40, 26 93!, 76 91"],
  ],
  // 3: two bowls, a flat top, a small loop in the middle, and a smooth waist.
  [
    ["25 16, 45 5, 68 12, 70 32, 58 44, 42 48!, 64 52, 76 69, 68 88, 46 96, 22 85"],
    ["25 7, 72 7!, 46 42!, 68 50, 76 70, 66 90, 45 95, 22 86"],
    ["28 12, 52 5, 68 20, 58 42, 42 50, 40 43, 55 45, 74 62, 70 86, 48 95, 24 88"],
    ["26 20, 42 6, 64 8, 70 26, 54 45, 66 56, 74 74, 60 93, 36 94, 22 80"],
  ],
  // 4: open, closed, open and round, and closed with a short stem.
  [
    ["32 6, 27 30, 22 56!, 50 57, 82 54", "66 10, 65 50, 62 95"],
    ["62 5, 42 34, 20 64!, 50 65, 84 64", "62 5, 62 50, 62 95"],
    ["30 10, 24 36, 34 53, 52 52, 68 40", "74 8, 68 40, 62 95"],
    ["56 95, 60 50, 64 6!, 42 34, 24 58!, 52 58, 78 56"],
  ],
  // 5: in one go, with a bar added on top, round like an S, and with a small belly.
  [
    ["74 7, 54 7, 33 8!, 30 26, 28 45!, 50 38, 73 50, 76 74, 60 93, 38 95, 20 85"],
    ["34 10, 29 46!, 52 42, 74 56, 72 82, 50 95, 22 88", "34 10, 56 9, 80 5"],
    ["74 10, 52 6, 33 16, 32 36, 52 46, 72 60, 72 82, 50 95, 24 86"],
    ["72 6, 38 10!, 36 30, 33 52!, 52 48, 68 60, 66 82, 48 94, 28 90"],
  ],
  // 6: curved, straight-backed, with a big belly, and with a loop that crosses the back.
  [
    ["66 6, 42 20, 27 50, 26 78, 42 95, 64 93, 75 74, 66 56, 46 53, 28 68"],
    ["56 5, 40 34, 26 68, 32 90, 54 95, 70 80, 62 62, 44 62, 28 76"],
    ["60 5, 36 22, 22 52, 24 82, 48 96, 74 84, 76 56, 54 44, 30 54"],
    ["70 10, 46 12, 28 40, 25 74, 40 94, 60 92, 70 74, 58 60, 38 66, 22 84"],
  ],
  // 7: plain, crossed, with a serif, and curved.
  [
    ["20 8, 50 8, 78 8!, 58 45, 42 95"],
    ["22 10, 50 9, 78 7!, 58 50, 44 95", "36 52, 72 49"],
    ["20 24, 22 8!, 50 10, 78 8!, 60 50, 50 95"],
    ["22 14, 46 8, 70 8, 74 18, 56 50, 40 94"],
  ],
  // 8: in one go, two circles, open at the top, and slim.
  [
    ["68 20, 50 6, 32 14, 32 32, 50 46, 70 60, 74 82, 50 95, 26 82, 31 60, 50 46, 68 34, 68 20"],
    ["50 5, 32 14, 33 36, 50 45, 67 36, 68 14, 50 5", "50 46, 26 58, 26 84, 50 95, 74 84, 74 58, 50 46"],
    ["74 12, 52 5, 32 18, 38 38, 62 54, 72 76, 54 95, 30 86, 30 66, 52 46, 70 28, 76 16"],
    ["60 16, 50 5, 38 16, 40 34, 52 50, 62 70, 58 90, 46 95, 36 84, 40 64, 52 46, 62 30, 60 16"],
  ],
  // 9: with a straight leg, with a curved leg, in one go with a lean, and with an open head.
  [
    ["72 28, 60 9, 38 8, 26 28, 36 48, 58 46, 72 28", "73 8, 72 50, 70 95"],
    ["73 26, 58 7, 34 12, 26 34, 40 52, 62 46, 73 26!, 74 56, 64 86, 44 95, 26 88"],
    ["70 18, 50 5, 30 16, 30 40, 50 48, 68 34, 72 14!, 66 50, 54 95"],
    ["68 8, 42 8, 27 28, 38 47, 60 42, 74 16!, 70 56, 58 95"],
  ],
];

/** For each digit the ways in which it is written; each of them is a list of strokes. */
export const SKELETONS: readonly (readonly (readonly Stroke[])[])[] = WRITTEN.map((forms) =>
  forms.map((strokes) => strokes.map(parseStroke)),
);

function parseStroke(text: string): Stroke {
  return text.split(", ").map((point) => {
    const [x, y] = point.split(" ");
    return { x: Number(x) / 100, y: Number.parseInt(y, 10) / 100, corner: y.endsWith("!") };
  });
}
