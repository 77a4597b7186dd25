/** Threads in Node: batches of all sizes are what one thread computes, and threads end. */

import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NetworkError } from "../../src/errors.js";
import { load } from "../../src/load.js";
import type { Network } from "../../src/network.js";
import { type Case, caseOf, largestError, TOLERANCE } from "../support/cases.js";
import { packagePath, tinyFile } from "../support/package.js";

describe.each(["lenet-5: weights 10 %", "lenet-300-100: weights 10 %", "resnet-20: weights 10 %"])(
  "%s on three threads",
  (name) => {
    let one: Case;
    let net: Network;

    beforeAll(async () => {
      one = await caseOf(name, 75);
      net = await load(one.file, { threads: 3 });
    });

    afterAll(() => {
      net.close();
    });

    // Fewer samples than threads, some that run one by one, side by side, and in more than one round.
    test.each([1, 2, 3, 7, 25, 30, 36, 75])("computes a batch of %i", (batch) => {
      const [input, output] = [one.input.length / 75, one.expected.length / 75];
      const samples = one.input.subarray(0, batch * input);
      const results = net.run(samples);
      expect(largestError(results, one.expected.slice(0, batch * output))).toBeLessThan(TOLERANCE);
      expect(net.run(samples)).toEqual(results);
    });
  },
);

test("refuses to run once it is closed, and numbers that are none of threads", async () => {
  const { file, input } = await tinyFile();
  const net = await load(file, { threads: 2 });
  net.close();
  net.close();
  expect(() => net.run(input)).toThrow(new NetworkError("the network is closed: load it again"));
  for (const threads of [0, 1.5, 257, NaN])
    await expect(load(file, { threads })).rejects.toThrow(`threads: expected a whole number from 1 to 256`);
});

test("lets a process end that forgets to close", { timeout: 60_000 }, async () => {
  const { file, input } = await tinyFile();
  const script = `
    import { load } from ${JSON.stringify(`${packagePath}dist/index.js`)};
    const net = await load(Uint8Array.from(${JSON.stringify([...file])}), { threads: 2 });
    const input = Float32Array.from(${JSON.stringify([...input, ...input])});
    console.log(net.run(input).length);
  `;
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 50_000,
  });
  expect(Number(printed)).toBeGreaterThan(0);
});
