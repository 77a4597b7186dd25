/** The masks of all layers in one epoch, through which a slider goes. */

import type { HeatmapLayer } from "@kofn/format/run/heatmaps.js";
import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Heatmaps, RunDetails } from "../api.js";
import { CellLoader } from "./cells.js";
import { HeatLegend, Heatmap } from "./heatmap.js";
import { memo } from "./memo.js";
import { fetchCells } from "./requests.js";

interface MasksProps {
  readonly details: RunDetails;
  /** The layer that is shown large. */
  readonly layer: string | null;
  readonly onSelect: (name: string) => void;
  /** Index of the epoch that is shown; null for the newest, also when there are more. */
  readonly epoch: Signal<number | null>;
}

export function Masks({ details: { summary, heatmaps, epochs }, layer, onSelect, epoch }: MasksProps) {
  if (epochs.epoch.length === 0) return null;
  if (heatmaps === null || heatmaps.epochs === 0) {
    return (
      <section class="section">
        <h2>Masks</h2>
        <p class="empty">
          There is no heatmaps.bin: nothing is pruned, or an older version of kofn has trained this run.
        </p>
      </section>
    );
  }
  const last = heatmaps.epochs - 1;
  const at = Math.min(epoch.value ?? last, last);
  const onInput = (value: number): void => {
    epoch.value = value === last ? null : value;
  };
  return (
    <section class="section">
      <h2>Masks</h2>
      <div class="scrubber">
        <label>
          <span>
            Epoch {epochs.epoch[at] ?? at + 1} of {epochs.epoch[last] ?? last + 1}
          </span>
          <input
            type="range"
            min={0}
            max={last}
            value={at}
            aria-valuetext={`epoch ${epochs.epoch[at] ?? at + 1}`}
            onInput={({ currentTarget }) => {
              onInput(currentTarget.valueAsNumber);
            }}
          />
        </label>
        <HeatLegend />
      </div>
      <Thumbnails id={summary.id} heatmaps={heatmaps} at={at} selected={layer} onSelect={onSelect} />
    </section>
  );
}

interface ThumbnailsProps {
  readonly id: string;
  readonly heatmaps: Heatmaps;
  readonly at: number;
  readonly selected: string | null;
  readonly onSelect: (name: string) => void;
}

function Thumbnails({ id, heatmaps: { layers, epochs }, at, selected, onSelect }: ThumbnailsProps) {
  const loader = useMemo(() => new CellLoader((epoch) => fetchCells(id, epoch)), [id]);
  useMemo(() => {
    loader.want(at, epochs);
  }, [loader, at, epochs]);
  const bytes = loader.shown.value?.bytes;
  let offset = 0;
  const cells = layers.map(({ height, width }) => {
    offset += height * width;
    return bytes?.subarray(offset - height * width, offset);
  });
  return (
    <>
      {loader.failed.value && <p role="alert">The heatmaps of this epoch could not be read.</p>}
      <ul class="thumbnails" data-epoch={loader.shown.value?.epoch}>
        {layers.map((layer, i) => (
          <Thumbnail
            key={layer.name}
            layer={layer}
            cells={cells[i]}
            selected={layer.name === selected}
            onSelect={onSelect}
          />
        ))}
      </ul>
    </>
  );
}

interface ThumbnailProps {
  readonly layer: HeatmapLayer;
  readonly cells: Uint8Array | undefined;
  readonly selected: boolean;
  readonly onSelect: (name: string) => void;
}

const Thumbnail = memo<ThumbnailProps>(
  ({ layer: { name, rows, n, height, width }, cells, selected, onSelect }) => (
    <li>
      <button
        type="button"
        class="thumbnail"
        aria-pressed={selected}
        onClick={() => {
          onSelect(name);
        }}
      >
        <Heatmap height={height} width={width} cells={cells} />
        <span class="name">
          <span class="unseen">Mask of </span>
          {name}
        </span>
        <small>
          {rows} x {n}
        </small>
      </button>
    </li>
  ),
  (one, other) =>
    one.layer.name === other.layer.name && one.cells === other.cells && one.selected === other.selected,
);
