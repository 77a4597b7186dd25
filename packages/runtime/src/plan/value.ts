/** Values of a network and how they lie in memory. */

import { type Dims, sizeOf } from "../graph/types.js";

/** The most of several demands on layouts that have to agree. */
export class Agreement {
  #parent: Agreement | undefined;
  #most = 0;

  #root(): Agreement {
    if (this.#parent === undefined) return this;
    this.#parent = this.#parent.#root();
    return this.#parent;
  }

  get most(): number {
    return this.#root().#most;
  }

  demand(least: number): void {
    const root = this.#root();
    root.#most = Math.max(root.#most, least);
  }

  /** Lets two agree from now on. */
  join(other: Agreement): void {
    const [root, theirs] = [this.#root(), other.#root()];
    if (root === theirs) return;
    theirs.#most = Math.max(theirs.#most, root.#most);
    root.#parent = theirs;
  }
}

export const VECTOR = 4;
export const aligned = (count: number): number => Math.ceil(count / VECTOR) * VECTOR;

/**
 * A value: planes of rows. Between rows lie `row` - width cells of 0 and between planes `gap` rows of 0, which convolutions read
 * as padding. Values that are no images, and images of one cell, are one plane of one row ("flat"), their elements one after the
 * other.
 */
export class Value {
  readonly name: string;
  readonly dims: Dims;
  readonly planes: number;
  readonly height: number;
  readonly width: number;
  /** Whether it has a value of several samples in each row. */
  readonly isWide: boolean;
  /** Whether elements just follow each other. */
  readonly isFlat: boolean;
  /** Cells from a row to the next. */
  readonly rows = new Agreement();
  /** Rows of 0 between planes. */
  readonly gaps = new Agreement();
  /** Where the first cell lies, once memory is planned. */
  address = 0;

  /** @param lanes samples that lie side by side in each row of a value [1, features]; 1 for one sample alone. */
  constructor(name: string, dims: Dims, lanes: number) {
    this.name = name;
    this.dims = dims;
    this.isWide = lanes > 1 && dims.length === 2;
    const isImage = dims.length === 4 && dims[2] * dims[3] > 1;
    this.isFlat = !this.isWide && !isImage;
    [this.planes, this.height, this.width] = this.isWide
      ? [dims[1], 1, lanes]
      : isImage
        ? [dims[0] * dims[1], dims[2], dims[3]]
        : [1, 1, sizeOf(dims)];
    this.rows.demand(this.width);
  }

  get row(): number {
    return this.rows.most;
  }

  /** Cells from a plane to the next; those of a flat image have one. */
  get plane(): number {
    return this.isFlat ? 1 : aligned((this.height + this.gaps.most) * this.row);
  }

  /** Vectors from the first cell of a plane to its last. */
  get vectors(): number {
    return Math.ceil(((this.height - 1) * this.row + this.width) / VECTOR);
  }

  /** Cells of 0 in front of the first plane. */
  get front(): number {
    return this.isFlat ? 0 : aligned((this.gaps.most + 1) * this.row - this.width);
  }

  /** Cells of the whole. */
  get cells(): number {
    return this.isFlat ? aligned(this.width) : this.front + this.planes * this.plane;
  }

  /** Whether elements follow each other with nothing in between. */
  get isCompact(): boolean {
    return this.isFlat || (this.row === this.width && this.plane === this.height * this.width);
  }

  /** Values of the same layout can share memory, as cells of 0 are never written. */
  get layout(): string {
    return this.isFlat ? "flat" : [this.height, this.width, this.row, this.gaps.most, this.isWide].join();
  }

  /** The cells from an element to the next along each axis of [planes, height, width]. */
  get steps(): readonly [number, number, number] {
    return this.isFlat ? [this.width, this.width, 1] : [this.plane, this.row, 1];
  }
}
