/** The sampler's pool of noise by its definition (assembly/noise.ts), in double precision. */

import { philox } from "../../src/random.js";

/** `size` standard Gumbel values. */
export function poolOf(size: number, key: readonly [number, number]): Float64Array {
  const pool = new Float64Array(size);
  const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  const s = new Uint32Array(4);
  for (let lane = 0; lane < 4; lane++) {
    for (let chunk = 0; 512 * chunk < size; chunk++) {
      philox(s, [4 * chunk + lane, 0, 0, 0], key, 7);
      for (let i = 512 * chunk + lane; i < Math.min(size, 512 * (chunk + 1)); i += 4) {
        const bits = (rotl(s[0] + s[3], 7) + s[0]) >>> 0;
        const t = s[1] << 9;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotl(s[3], 11);
        pool[i] = -Math.log(-Math.log(((bits >>> 9) + 0.5) / 2 ** 23));
      }
    }
  }
  return pool;
}
