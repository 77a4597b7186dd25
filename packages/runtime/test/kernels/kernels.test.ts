/** Each kernel by itself against its plain definition: tails that fill no vector, nothing kept, all kept, and any alignment. */

import { beforeAll, describe, expect, test } from "vitest";
import { instantiate } from "../../src/kernels.js";
import type { Kernels } from "../../src/wasm.generated.js";
import { along, matmul } from "./along.js";
import { binary, quantize, unary } from "./elementwise.js";
import { copy, phase } from "./move.js";
import { pool, sums } from "./pool.js";
import { resize } from "./resize.js";
import { rows1, rows4 } from "./rows.js";
import { taps1, taps4, tapsRows } from "./taps.js";
import { type Draw, mistakes, type Name, Trial } from "./trial.js";

const SEED = 14;
const CASES = 250;

const DRAWS: { readonly [K in Name]: Draw<K> } = {
  taps1,
  taps4,
  tapsRows,
  rows1,
  rows4,
  along,
  matmul,
  binary,
  quantize,
  unary,
  copy,
  phase,
  pool,
  sums,
  resize,
};

describe(`a kernel (seed ${SEED})`, () => {
  let kernels: Kernels;

  beforeAll(async () => {
    kernels = await instantiate();
    kernels.memory.grow(1);
  });

  const check = (name: Name): void => {
    for (let i = 0; i < CASES; i++) {
      const drawn = DRAWS[name](new Trial(kernels, SEED, name, i));
      expect(mistakes(kernels, name, drawn), `case ${i}: ${name}(${drawn.args.join(", ")})`).toEqual([]);
    }
  };

  test.each(Object.keys(DRAWS) as Name[])(
    "%s computes what it is defined to, and writes nothing else",
    check,
  );

  test("leaves the memory from base on to the caller", () => {
    expect(kernels.base() % 64).toBe(0);
    expect(kernels.base()).toBeLessThan(65_536);
  });
});
