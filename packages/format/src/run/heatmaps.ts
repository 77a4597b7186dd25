/**
 * Pictures of masks, epoch by epoch: the form of the file heatmaps.bin of a run directory.
 *
 * It begins with a line of JSON, {"kofn":"heatmaps","version":1,"layers":[{"name","rows","n","height","width"}, ...]}, and holds
 * a record per epoch after that: for each of these layers height * width bytes, row by row. All records have one size, so
 * that of epoch e begins at the header's length + (e - 1) * the record's. A last record that is cut off does not count.
 */

/** Cells of a heatmap, at most, down and across. */
export const MOST_CELLS = 64;

/** What the heatmaps of a layer look like in all epochs. */
export interface HeatmapLayer {
  readonly name: string;
  /** Groups R and units n of the mask. */
  readonly rows: number;
  readonly n: number;
  /** Cells down and across: min(rows, 64) and min(n, 64). */
  readonly height: number;
  readonly width: number;
}

/** The first line. */
export interface HeatmapHeader {
  readonly kofn: "heatmaps";
  readonly version: 1;
  readonly layers: readonly HeatmapLayer[];
}

/** What a file of heatmaps holds. */
export interface HeatmapFile {
  readonly layers: readonly HeatmapLayer[];
  /** How many epochs it has whole. */
  readonly epochs: number;
  /** Bytes before the first record, and of a record. */
  readonly offset: number;
  readonly record: number;
}

/**
 * What a file holds.
 *
 * @param offset bytes of the first line with its end.
 * @param size bytes of the file.
 */
export function heatmapFile({ layers }: HeatmapHeader, offset: number, size: number): HeatmapFile {
  const record = layers.reduce((sum, { height, width }) => sum + height * width, 0);
  return { layers, epochs: Math.floor((size - offset) / record), offset, record };
}
