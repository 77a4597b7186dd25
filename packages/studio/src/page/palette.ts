/**
 * Colours that people with any kind of colour vision tell apart (Okabe and Ito, "Color Universal Design", 2008), and
 * dashes for those who see none.
 */

import { signal } from "@preact/signals";

/** Whether the page is dark, as the system asks for. */
export const dark = signal(false);

const query = matchMedia("(prefers-color-scheme: dark)");
dark.value = query.matches;
query.addEventListener("change", () => {
  dark.value = query.matches;
});

const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#8f8300"];
const DARK = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#ffffff", "#d55e00", "#4a90d9", "#f0e442"];
const DASHES: readonly (readonly number[])[] = [[], [], [], [], [6, 4], [6, 4], [2, 3], [2, 3]];

/** The colour of the series with a number from 0 to 7. */
export function colourOf(index: number): string {
  const colours = dark.value ? DARK : LIGHT;
  return colours[index % colours.length];
}

/** The dash of that series, in pixels; none for a whole line. */
export function dashOf(index: number): readonly number[] {
  return DASHES[index % DASHES.length];
}

/** What a heatmap's cells are painted in, from 0 to 255: from the page's ground to what stands out from it most. */
export function heatColours(): Uint32Array {
  return dark.value ? DARK_HEAT : LIGHT_HEAT;
}

type Rgb = readonly [number, number, number];

/** Colours between stops, for each byte, as the pixels of a canvas hold them. */
function ramp(stops: readonly Rgb[]): Uint32Array {
  const pixels = new Uint8ClampedArray(256 * 4);
  for (let value = 0; value < 256; value++) {
    const at = (value / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [stops[low][channel], stops[low + 1][channel]];
      pixels[value * 4 + channel] = from + (to - from) * (at - low);
    }
    pixels[value * 4 + 3] = 255;
  }
  return new Uint32Array(pixels.buffer);
}

const LIGHT_HEAT = ramp([
  [240, 243, 246],
  [86, 180, 233],
  [0, 114, 178],
  [0, 30, 60],
]);
const DARK_HEAT = ramp([
  [30, 36, 44],
  [0, 90, 145],
  [86, 180, 233],
  [244, 250, 255],
]);
