/** One layer's heatmap, large, with the value of the cell under the mouse or the keyboard's cursor. */

import type { HeatmapLayer } from "@kofn/format/run/heatmaps.js";
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { CellLoader } from "./cells.js";
import { percent } from "./format.js";
import { Heatmap } from "./heatmap.js";
import { fetchLayerCells } from "./requests.js";

interface HeatmapZoomProps {
  readonly id: string;
  readonly layer: HeatmapLayer;
  /** Of the layer, in the file. */
  readonly index: number;
  /** Of the epoch, from 0. */
  readonly at: number;
  /** How many there are. */
  readonly epochs: number;
  /** The epoch's number. */
  readonly epoch: number;
}

interface Cell {
  readonly row: number;
  readonly column: number;
}

const STEPS: Readonly<Record<string, readonly [down: number, right: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-8, 0],
  PageDown: [8, 0],
  Home: [0, -64],
  End: [0, 64],
};

export function HeatmapZoom({ id, layer, index, at, epochs, epoch }: HeatmapZoomProps) {
  const { name, rows, n, height, width } = layer;
  const loader = useMemo(() => new CellLoader((wanted) => fetchLayerCells(id, wanted, index)), [id, index]);
  useMemo(() => {
    loader.want(at, epochs);
  }, [loader, at, epochs]);
  const cell = useSignal<Cell | null>(null);
  const cells = loader.shown.value?.bytes;

  const move = (row: number, column: number): void => {
    cell.value = { row: clamp(row, height), column: clamp(column, width) };
  };
  const onPointer = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    move(
      Math.floor(((event.clientY - box.top) / box.height) * height),
      Math.floor(((event.clientX - box.left) / box.width) * width),
    );
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = STEPS[event.key] as (typeof STEPS)[string] | undefined;
    if (step === undefined) return;
    event.preventDefault();
    const { row, column } = cell.value ?? { row: 0, column: 0 };
    if (cell.value === null) move(0, 0);
    else move(row + step[0], column + step[1]);
  };
  const told =
    cell.value === null || cells === undefined
      ? `Point at a cell, or use the arrow keys: ${height} x ${width} cells of ${rows} groups x ${n} units`
      : describe(layer, cell.value, cells[cell.value.row * width + cell.value.column]);
  const size = cell.value === null ? undefined : boxOf(cell.value, height, width);
  return (
    <figure class="zoom">
      <figcaption>
        <span class="chart-title">Mask</span>
        <span class="chart-where">epoch {epoch}: groups down, units across</span>
      </figcaption>
      <div
        class="zoom-canvas"
        role="img"
        tabIndex={0}
        aria-label={`Mask of ${name} in epoch ${epoch}. Arrow keys move through its cells.`}
        style={{
          aspectRatio: `${width} / ${height}`,
          maxWidth: height > width ? `${(100 * width) / height}%` : "100%",
        }}
        onPointerMove={onPointer}
        onPointerDown={onPointer}
        onKeyDown={onKeyDown}
      >
        <Heatmap height={height} width={width} cells={cells} />
        {size !== undefined && <span class="cell-cursor" style={size} />}
      </div>
      <p class="readout" role="status">
        {told}
      </p>
    </figure>
  );
}

function clamp(value: number, count: number): number {
  return Math.min(count - 1, Math.max(0, value));
}

function boxOf({ row, column }: Cell, height: number, width: number) {
  const share = (part: number, whole: number): string => `${(100 * part) / whole}%`;
  return {
    top: share(row, height),
    left: share(column, width),
    height: share(1, height),
    width: share(1, width),
  };
}

function describe({ rows, n, height, width }: HeatmapLayer, { row, column }: Cell, value: number): string {
  const groups = span(row, height, rows);
  const units = span(column, width, n);
  return `group ${groups}, unit ${units}: ${percent(value / 255, 1)} kept`;
}

/** The numbers, from 0, that lie in a cell: those i for which floor(i * cells / count) is the cell's. */
function span(cell: number, cells: number, count: number): string {
  const first = Math.ceil((cell * count) / cells);
  const last = Math.ceil(((cell + 1) * count) / cells) - 1;
  return first === last ? String(first) : `${first} to ${last}`;
}
