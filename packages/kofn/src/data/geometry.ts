/** The shape of images. */

/** The shape of a data set's images. */
export interface Geometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}
