/** The kernels with which the host computes beside onnxruntime. build.js compiles them, and tells src/host how they are called. */

import { initialise } from "./select";

export { fillPool } from "./noise";
export { learn } from "./optimizer";
export { fitLargest, fitMean, mask, maskBackward, quantize, quantizeBackward } from "./quantize";
export { backward, sample, scratchBytes, update } from "./sampler";

/** Identifies these sources; build.js gives it. */
export const abi: i32 = KOFN_ABI;

initialise();

/** First byte of the memory that the caller may use. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}
