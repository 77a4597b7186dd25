/** Damaged files: every one gives an error that says so, and none does harm. */

import { crc32 } from "@kofn/format/file/crc32.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeKofn } from "../../../kofn/src/pack/file.js";
import { contentsOf, recipes as packed } from "../../../kofn/test/pack/networks.js";
import { type Host, hostsOfFile } from "../support/hosts.js";

const RUNS = Number(process.env.KOFN_FUZZ_RUNS ?? 300);
const HEADER = 64;
const ENTRY = 12;
const hosts = hostsOfFile();
let file: Uint8Array;

beforeAll(() => {
  const [recipe] = fc.sample(packed, { numRuns: 1, seed: 3 });
  file = encodeKofn(contentsOf(recipe), { entropy: true }).bytes;
});

/** Whether a file can be loaded and run; every error that is not the runtime's own passes through. */
async function isLoaded(host: Host, bytes: Uint8Array): Promise<boolean> {
  const message = await host.call(async ({ load, NetworkError }, given) => {
    try {
      const net = await load(given);
      net.run(new Float32Array(net.info.input.reduce((a, b) => a * b)));
      return undefined;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return error.message;
    }
  }, bytes);
  if (message !== undefined) expect(message.length).toBeGreaterThan(10);
  return message === undefined;
}

/** Makes all checksums right. */
function sealed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  for (let entry = 16; entry < HEADER; entry += ENTRY) {
    const [offset, length] = [view.getUint32(entry, true), view.getUint32(entry + 4, true)];
    view.setUint32(entry + 8, crc32(bytes.subarray(offset, Math.ceil((offset + length) / 4) * 4)), true);
  }
  view.setUint32(12, 0, true);
  view.setUint32(12, crc32(bytes.subarray(0, HEADER)), true);
  return bytes;
}

describe.each(hosts.map((host) => [host.name, host] as const))("a damaged file in %s", (_, host) => {
  test("is refused whichever bit is wrong, and wherever it is cut short", { timeout: 300_000 }, async () => {
    expect(await isLoaded(host, file)).toBe(true);
    const at = fc.nat(file.length - 1);
    await fc.assert(
      fc.asyncProperty(at, fc.nat(7), async (place, bit) => {
        const bytes = file.slice();
        bytes[place] ^= 1 << bit;
        expect(await isLoaded(host, bytes)).toBe(false);
        expect(await isLoaded(host, file.slice(0, place))).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  test("is an error or another network if its checksums are right", { timeout: 300_000 }, async () => {
    const change = fc.tuple(fc.integer({ min: HEADER, max: file.length - 1 }), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = file.slice();
        for (const [place, value] of changes) bytes[place] = value;
        await isLoaded(host, sealed(bytes));
      }),
      { numRuns: RUNS },
    );
  });

  test("says which section it is", async () => {
    const bytes = file.slice();
    bytes[HEADER + 3] ^= 1;
    const messageOf = (given: Uint8Array): Promise<string> =>
      host.call(({ load }, wrong) => load(wrong).then(() => "", String), given);
    expect(await messageOf(bytes)).toBe(
      'NetworkError: the network: section "graph" is damaged: its checksum does not fit',
    );
    expect(await messageOf(new Uint8Array(5))).toContain("expected a .kofn file, found 5 bytes");
  });
});

test.each(hosts.map((host) => [host.name, host] as const))(
  "reads masks, codecs and formats of all kinds in %s",
  { timeout: 300_000 },
  async (_, host) => {
    const options = fc.record({
      positions: fc.constantFrom("auto", "bitmap", "indices", "range"),
      values: fc.constantFrom("float32", "float16"),
      entropy: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(packed, options, async (recipe, pack) => {
        expect(await isLoaded(host, encodeKofn(contentsOf(recipe), pack).bytes)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  },
);
