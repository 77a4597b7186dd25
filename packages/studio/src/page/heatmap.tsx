/** Cells painted on a canvas, one pixel each; the style sheet makes them larger. */

import { useEffect, useRef } from "preact/hooks";
import { dark, heatColours } from "./palette.js";

interface HeatmapProps {
  readonly height: number;
  readonly width: number;
  /** From 0 to 255, row by row; undefined until they have come. */
  readonly cells: Uint8Array | undefined;
}

export function Heatmap({ height, width, cells }: HeatmapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = dark.value;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context === null || context === undefined || cells === undefined) return;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = heatColours();
    for (let i = 0; i < pixels.length; i++) pixels[i] = colours[cells[i]];
    context.putImageData(image, 0, 0);
  }, [cells, width, height, isDark]);
  return <canvas class="heatmap" ref={canvas} width={width} height={height} aria-hidden="true" />;
}

/** What the colours mean. */
export function HeatLegend() {
  const colours = heatColours();
  const stops = [0, 64, 128, 191, 255].map((value) => {
    const pixel = colours[value];
    return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
  });
  return (
    <span class="heat-legend">
      removed{" "}
      <span class="heat-ramp" style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }} /> kept
    </span>
  );
}
