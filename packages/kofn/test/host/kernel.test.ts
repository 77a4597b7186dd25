/** Kernels and threads are those of the sources: others are refused, and an older build is noticed. */

import { expect, test } from "vitest";
import * as builtWasm from "../../dist/host/wasm.generated.js";
import * as builtWorker from "../../dist/host/worker.generated.js";
import { KofnError } from "../../src/errors.js";
import { instantiate, kernelModule } from "../../src/host/kernel.js";
import { ABI, BASE } from "../../src/host/wasm.generated.js";
import { WORKER } from "../../src/host/worker.generated.js";

const memory = (isShared: boolean): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 1, maximum: 1, shared: isShared });

test.each([false, true])(
  "kernels say which they are, and leave memory to others (shared: %s)",
  (isShared) => {
    const kernel = instantiate(kernelModule(isShared), memory(isShared));
    expect(kernel.abi.value).toBe(ABI);
    expect(kernel.base()).toBe(BASE);
  },
);

test.each([
  ["with another number", [6, 6, 1, 127, 0, 65, 1, 11, 7, 7, 1, 3, 97, 98, 105, 3, 0], "got 1;"],
  ["without a number", [], "got none;"],
])("kernels %s are refused", (_, sections, reason) => {
  const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, ...sections));
  const make = (): unknown => instantiate(module, memory(false));
  expect(make).toThrow(KofnError);
  expect(make).toThrow(`expected number ${ABI}, ${reason}`);
});

test("what is built in dist is of these sources; if not, build anew: npm run build", () => {
  expect(builtWasm.ABI).toBe(ABI);
  expect(builtWorker.WORKER).toBe(WORKER);
});
