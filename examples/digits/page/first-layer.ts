/** The first layer's mask, as the server takes it from the network's file. */

export interface FirstLayer {
  /** Size of what a neuron or a filter looks at, in pixels. */
  readonly height: number;
  readonly width: number;
  /** Filters move over the image, neurons see all of it. */
  readonly isConvolution: boolean;
  /** For each neuron the places of the pixels that it keeps, row by row. */
  readonly kept: readonly (readonly number[])[];
  /** For each of these the sign of its weight: 1, -1, or 0. */
  readonly signs: readonly (readonly number[])[];
}
