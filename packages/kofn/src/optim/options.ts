/** What optimizers are asked for. */

/** Adam, with the defaults of its authors: beta1 0.9, beta2 0.999, epsilon 1e-8, no weight decay. */
export interface AdamOptions {
  readonly kind: "adam";
  readonly lr: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay (AdamW). */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent. Momentum and weight decay are 0 by default. */
export interface SgdOptions {
  readonly kind: "sgd";
  readonly lr: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
}

export type OptimizerOptions = AdamOptions | SgdOptions;
