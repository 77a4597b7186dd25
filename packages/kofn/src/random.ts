/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011). A number is a pure function of (seed, stream, index), so the noise of training step t needs no
 * history: a resumed run draws what an uninterrupted one would have drawn.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
/** {@link Random.fillNormal} draws so many words at a time. */
const CHUNK = 4096;

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** One block of Philox4x32: four 32-bit numbers out of a 128-bit counter and a 64-bit key, written to `out`. */
export function philox(
  out: Uint32Array,
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  rounds = 10,
): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < rounds; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Fills `out` (a multiple of four numbers) with the blocks of consecutive counters, from `first` on. */
function fillBlocks(out: Uint32Array, first: number, index: number, key: readonly [number, number]): void {
  const [key0, key1] = key;
  for (let at = 0, counter = first; at < out.length; at += 4, counter++) {
    let c0 = counter >>> 0;
    let c1 = Math.floor(counter / 2 ** 32);
    let c2 = index >>> 0;
    let c3 = 0;
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++) {
      const high0 = multiplyHigh(MULTIPLIER_0, c0);
      const high1 = multiplyHigh(MULTIPLIER_1, c2);
      const low0 = Math.imul(MULTIPLIER_0, c0);
      const low1 = Math.imul(MULTIPLIER_1, c2);
      c0 = (high1 ^ c1 ^ k0) >>> 0;
      c1 = low1 >>> 0;
      c2 = (high0 ^ c3 ^ k1) >>> 0;
      c3 = low0 >>> 0;
      k0 = (k0 + WEYL_0) >>> 0;
      k1 = (k1 + WEYL_1) >>> 0;
    }
    out[at] = c0;
    out[at + 1] = c1;
    out[at + 2] = c2;
    out[at + 3] = c3;
  }
}

/** A 32-bit hash (FNV-1a) of a name, to tell streams of random numbers apart. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * A sequence of random numbers, fixed by a seed, the name of what it is for, and an index (a step, an epoch).
 *
 * @example
 * const order = new Random(1, "shuffle", epoch).permutation(55_000);
 */
export class Random {
  readonly #key: readonly [number, number];
  readonly #index: number;
  readonly #block = new Uint32Array(4);
  #position = 4;
  #counter = 0;
  #spare: number | undefined;

  /** @param seed any safe integer >= 0. */
  constructor(seed: number, stream: string, index = 0) {
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(stream)) >>> 0];
    this.#index = index;
  }

  /** 32 random bits, as an unsigned integer. */
  bits(): number {
    if (this.#position === 4) {
      const high = Math.floor(this.#counter / 2 ** 32);
      philox(this.#block, [this.#counter >>> 0, high, this.#index >>> 0, 0], this.#key);
      this.#counter++;
      this.#position = 0;
    }
    return this.#block[this.#position++];
  }

  /** Fills an array with words of 32 random bits, as {@link bits} draws them. To be called before all else. */
  fillBits(words: Uint32Array): void {
    const whole = words.length & ~3;
    fillBlocks(words.subarray(0, whole), this.#counter, this.#index, this.#key);
    this.#counter += whole / 4;
    for (let i = whole; i < words.length; i++) words[i] = this.bits();
  }

  /** Uniform on the open interval (0, 1), in steps of 2^-32. */
  uniform(): number {
    return (this.bits() + 0.5) / 2 ** 32;
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Fills an array with normal numbers of mean 0 and the given standard deviation, as {@link normal} draws them. */
  fillNormal(values: Float32Array, deviation: number): void {
    let i = 0;
    while (i < values.length && (this.#spare !== undefined || this.#position < 4)) {
      values[i++] = deviation * this.normal();
    }
    const words = new Uint32Array(Math.min(values.length - i, CHUNK) & ~3);
    while (values.length - i >= 4) {
      const count = Math.min(words.length, (values.length - i) & ~3);
      fillBlocks(words.subarray(0, count), this.#counter, this.#index, this.#key);
      this.#counter += count / 4;
      for (let word = 0; word < count; word += 2, i += 2) {
        const radius = Math.sqrt(-2 * Math.log((words[word] + 0.5) / 2 ** 32));
        const angle = 2 * Math.PI * ((words[word + 1] + 0.5) / 2 ** 32);
        values[i] = deviation * (radius * Math.cos(angle));
        values[i + 1] = deviation * (radius * Math.sin(angle));
      }
    }
    while (i < values.length) values[i++] = deviation * this.normal();
  }

  /** Uniform on 0 .. n-1. */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** A random order of 0 .. n-1 (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    return order;
  }
}
