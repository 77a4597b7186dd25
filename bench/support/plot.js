/** Draws lines over logarithmic axes as an SVG file that needs no style sheet. */

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {readonly (readonly [x: number, y: number])[]} points above 0, by x
 *
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} x what lies along the axis
 * @property {string} y
 * @property {readonly number[]} ticks of x
 * @property {readonly Line[]} lines at most four
 */

const WIDTH = 640;
const HEIGHT = 400;
const AREA = { left: 70, right: WIDTH - 20, top: 58, bottom: HEIGHT - 52 };
/** Of Okabe and Ito's palette, which the colour-blind can tell apart; lines differ in their dashes, too. */
const STYLES = [
  { colour: "#0072b2", dash: "" },
  { colour: "#d55e00", dash: "7 3" },
  { colour: "#008a65", dash: "2 3" },
  { colour: "#b8609a", dash: "9 3 2 3" },
];

/**
 * @param {Plot} plot
 * @returns {string} an SVG file
 */
export function logPlot({ title, x, y, ticks, lines }) {
  const values = lines.flatMap(({ points }) => points.map((point) => point[1]));
  const rows = decades(Math.min(...values), Math.max(...values));
  const across = logScale(ticks[0], ticks[ticks.length - 1], AREA.left, AREA.right);
  const up = logScale(rows[0], rows[rows.length - 1], AREA.bottom, AREA.top);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="13" fill="#57606a">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${AREA.left}" y="20" font-size="15" font-weight="600" fill="#1b1f24">${escaped(title)}</text>`,
    ...rows.flatMap((value) => [
      `<path d="M${AREA.left} ${up(value)}H${AREA.right}" stroke="#d0d7de"/>`,
      `<text x="${AREA.left - 8}" y="${up(value) + 4}" text-anchor="end">${value}</text>`,
    ]),
    ...ticks.flatMap((value) => [
      `<path d="M${across(value)} ${AREA.top}V${AREA.bottom}" stroke="#eaeef2"/>`,
      `<text x="${across(value)}" y="${AREA.bottom + 18}" text-anchor="middle">${value}</text>`,
    ]),
    `<text x="${(AREA.left + AREA.right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(x)}</text>`,
    `<text transform="translate(16 ${(AREA.top + AREA.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>`,
    ...lines.flatMap(({ name, points }, i) => {
      const { colour, dash } = STYLES[i];
      const stroke = `fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"`;
      const path = points.map((point) => `${across(point[0])} ${up(point[1])}`).join("L");
      const sample = AREA.left + 170 * i;
      return [
        `<path d="M${path}" ${stroke}/>`,
        ...points.map(
          (point) => `<circle cx="${across(point[0])}" cy="${up(point[1])}" r="3" fill="${colour}"/>`,
        ),
        `<path d="M${sample} 38h28" ${stroke}/>`,
        `<text x="${sample + 34}" y="42">${escaped(name)}</text>`,
      ];
    }),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

/**
 * 1, 2 and 5 times powers of ten, from below the least value to above the largest.
 *
 * @param {number} least
 * @param {number} largest
 * @returns {number[]}
 */
function decades(least, largest) {
  const all = Array.from({ length: 30 }, (_, i) => i - 15).flatMap((power) =>
    [1, 2, 5].map((digit) => Number(`${digit}e${power}`)),
  );
  const first = all.findLastIndex((value) => value <= least);
  const last = all.findIndex((value) => value >= largest);
  return all.slice(first, Math.max(last, first + 1) + 1);
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} low
 * @param {number} high
 * @returns {(value: number) => number} rounded to tenths
 */
function logScale(from, to, low, high) {
  return (value) => {
    const share = Math.log(value / from) / Math.log(to / from);
    return Math.round(10 * (low + share * (high - low))) / 10;
  };
}

/**
 * @param {string} text
 * @returns {string}
 */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
