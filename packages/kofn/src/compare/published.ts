/** Figures that others have published, to be drawn beside ours; other code, epochs and machines made them. */

export interface Published {
  readonly source: string;
  readonly compression: number;
  /** Test error, a fraction. */
  readonly error: number;
}

const MNIST: Readonly<Record<string, readonly Published[]>> = {
  "lenet-300-100": [
    { source: "Han et al. 2015", compression: 12, error: 0.0159 },
    { source: "DNS, Guo et al. 2016", compression: 56, error: 0.0199 },
    { source: "SWS, Ullrich et al. 2017", compression: 23, error: 0.0194 },
    { source: "Sparse VD, Molchanov et al. 2017", compression: 68, error: 0.0192 },
  ],
  "lenet-5": [
    { source: "Han et al. 2015", compression: 12, error: 0.0077 },
    { source: "DNS, Guo et al. 2016", compression: 111, error: 0.0091 },
    { source: "SWS, Ullrich et al. 2017", compression: 200, error: 0.0097 },
    { source: "Sparse VD, Molchanov et al. 2017", compression: 280, error: 0.0075 },
  ],
};

/** @param data the name of a data set. */
export function publishedFor(model: string, data: string): readonly Published[] {
  return data === "mnist" ? (MNIST[model] ?? []) : [];
}
