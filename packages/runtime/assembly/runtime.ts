/** The kernels of the runtime. All addresses, steps and distances are in bytes. */

export { taps1, taps4, tapsRows } from "./taps";
export { rows1, rows4 } from "./rows";
export { along, matmul } from "./along";
export { binary, quantize, unary } from "./elementwise";
export { copy, phase } from "./move";
export { pool, sums } from "./pool";
export { resize } from "./resize";

/** First byte of the memory that the caller may use. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}
