/**
 * What kernels are told of arrays and settings: structures in their memory, which the host writes by the names of their fields
 * (build.js reads these classes). So a call says what changes from call to call, and threads need one address.
 */

/** Numbers that an optimizer learns, with its states, its formula and the scalars of a step (src/optim/optimizer.ts). */
@unmanaged
export class Learner {
  values: usize;
  /** Adam's moments. */
  m: usize;
  v: usize;
  /** That of SGD, where it has a momentum. */
  velocity: usize;
  isAdam: i32;
  beta1: f32;
  beta2: f32;
  momentum: f32;
  isNesterov: i32;
  rate: f32;
  epsilon: f32;
  decay: f32;
}

/** The sampler of a layer: R rows of n units. */
@unmanaged
export class Sampler {
  /** Weight of the sum of H(softmax(phi)) over the rows. */
  entropy: f64;
  n: i32;
  /** The largest k. */
  most: i32;
  /** Rows of a block, a multiple of ROWS: what a call works on begins with one. */
  block: i32;
  /** phi. */
  logits: Learner;
  /** Of the units, where the sampler holds them. */
  weights: Learner | null;
  /** 1 for the drawn units, or their weights, and 0 for others. */
  mask: usize;
  /** z. */
  perturbed: usize;
  /** Of the masks of the first block, dL/dM; with weights that of the masked weights. */
  gradient: usize;
  /** Bytes between the gradients of a block and those of the next. Up to three numbers behind a block are written back, which may not be another thread's. */
  gap: usize;
  /** Places of the draws of the first block. Those of each block begin where they would if k were the largest. */
  order: usize;
  /** See `selectRows`. */
  guesses: usize;
  /** Noise, as `fillPool` makes it, of so many numbers. */
  pool: usize;
  poolSize: i32;
  /** Where the layer begins to read it, see `perturb`. */
  offsets: usize;
  /** Of the first thread, and bytes of each. */
  scratch: usize;
  scratchBytes: usize;
  /** Where each thread makes the gradients of a block, where the sampler holds weights. */
  product: usize;
  productBytes: usize;
}

/**
 * The fake quantizer of a weight: a matrix of `lines` lines, each `length` numbers long. A channel is a line; or, where `across` is
 * true, the numbers at one place of all lines. What belongs to channels lies in arrays, [channels], filled up to whole vectors.
 */
@unmanaged
export class Quantizer {
  weight: usize;
  /** Of what a step saw of the weight, in place of which that of the weight comes. */
  gradient: usize;
  /** What a step sees. The gradient of the mask is written there, if there is one. */
  quantized: usize;
  scales: usize;
  /** In double precision: dL/ds of each channel, or what means are made of. */
  sums: usize;
  /** For each weight: 0, or it is kept, and counts for scales that are fitted; or no address (0). */
  kept: usize;
  /** `kept`, where weights that are not kept are to be 0; or no address, as with `across`. */
  mask: usize;
  lines: i32;
  length: i32;
  across: i32;
  /** The largest code; 0 for the sign. */
  most: f32;
  /** The largest |w / s| whose gradient passes; for the sign, the largest |w|. */
  limit: f32;
}
