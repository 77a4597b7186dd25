import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { idxDataset, readIdx } from "../../src/datasets/idx.js";
import { datasets } from "../../src/datasets/registry.js";
import { InputError } from "../../src/errors.js";
import { sharedFolder } from "../support/fixtures.js";
import { idxBytes, rejection, temporaryFolder } from "./files.js";

const dir = temporaryFolder();
let files = 0;

function write(bytes: Uint8Array): string {
  const path = join(dir, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}

async function refusal(bytes: Uint8Array, rank = 3): Promise<string> {
  const path = write(bytes);
  const error = await rejection(readIdx(path, rank, "Do this."));
  expect(error).toBeInstanceOf(InputError);
  expect(error.message.startsWith(`${path}: `)).toBe(true);
  expect(error.message.endsWith(" Do this.")).toBe(true);
  return error.message.slice(path.length + 2);
}

const small = idxBytes([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

describe("readIdx", () => {
  test("reads what was written, gzipped or not", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
        fc.boolean(),
        fc.nat(255),
        async (rank, sizes, gzipped, fill) => {
          const dims = [...sizes.take(rank)];
          const count = dims.reduce((product, dim) => product * dim, 1);
          const data = Uint8Array.from({ length: count }, (_, i) => (i * 31 + fill) % 256);
          const bytes = idxBytes(dims, data);
          const read = await readIdx(write(gzipped ? gzipSync(bytes) : bytes), rank);
          expect(read.dims).toEqual(dims);
          expect(read.data).toEqual(data);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("refuses every cut of a file with a clear error", async () => {
    for (const whole of [small, gzipSync(small)]) {
      for (let length = 0; length < whole.length; length++) await refusal(whole.subarray(0, length));
    }
  });

  test("never fails otherwise than with InputError, whatever byte is wrong", async () => {
    const gzipped = gzipSync(small);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (zip, at, change) => {
        const bytes = Uint8Array.from(zip ? gzipped : small);
        bytes[at % bytes.length] ^= change;
        try {
          await readIdx(write(bytes), 3);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("says what is wrong", async () => {
    expect(await refusal(idxBytes([2], [1, 2]))).toBe(
      "expected an IDX file of unsigned bytes with 3 dimensions (magic number 00000803), found unsigned bytes with " +
        "1 dimension (00000801). Do this.",
    );
    expect(await refusal(idxBytes([1, 1, 1], [0, 0, 0, 0], 0x0d))).toContain(
      "found 32-bit floats with 3 dimensions",
    );
    expect(await refusal(new TextEncoder().encode("<html>no such file</html>"))).toContain(
      "found the bytes 3c68746d",
    );
    expect(await refusal(new Uint8Array(0))).toContain("found an empty file");
    expect(await refusal(small.subarray(0, 20))).toContain(
      "the header declares [2, 2, 3], that is 12 bytes, found 4 bytes after it: the file was cut off",
    );
    expect(await refusal(idxBytes([2, 2, 3], new Uint8Array(20)))).toContain(
      "that is 12 bytes, found 20 after it",
    );
    expect(await refusal(gzipSync(idxBytes([2, 2, 3], new Uint8Array(20))))).toContain("found more after it");
    expect(await refusal(gzipSync(idxBytes([2, 2, 3], new Uint8Array(4))))).toContain("found only 4");
    expect(await refusal(gzipSync(small).subarray(0, 30))).toContain("it was cut off");
    const damaged = gzipSync(
      idxBytes(
        [1000],
        new Uint8Array(1000).map((_, i) => (i * i) % 251),
      ),
    );
    damaged[damaged.length - 6] ^= 1;
    expect(await refusal(damaged, 1)).toContain("it is damaged (incorrect data check)");
    expect((await rejection(readIdx(join(dir, "absent"), 3))).message).toContain("expected a readable file");
    expect((await rejection(readIdx(dir, 3))).message).toContain(dir);
  });

  test("refuses absurd sizes before it allocates anything", async () => {
    expect(await refusal(idxBytes([0xffffffff, 0xffffffff, 0xffffffff], []))).toContain(
      "more than the 2147483648",
    );
    expect(await refusal(idxBytes([1_000_000_000], []), 1)).toContain("found 0 bytes after it");
    expect(await refusal(gzipSync(idxBytes([1_000_000_000], [])), 1)).toMatch(
      /a gzip file of \d+ bytes can't hold/,
    );
  });

  test("stops at the declared size of a gzip bomb", async () => {
    const bomb = gzipSync(idxBytes([10], new Uint8Array(300_000_000)), { level: 1 });
    const before = process.memoryUsage().arrayBuffers;
    expect(await refusal(bomb, 1)).toContain("that is 10 bytes, found more after it");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
  });
});

describe("idxDataset", () => {
  const classes = ["a", "b", "c"];

  function folder(parts: {
    train?: number;
    trainLabels?: number[];
    test?: number;
    testSide?: number;
    zip?: boolean;
    without?: string;
  }): string {
    const { train = 30, test = 4, testSide = 2, zip = false } = parts;
    const path = join(dir, `folder-${files++}`);
    mkdirSync(path);
    const put = (name: string, bytes: Uint8Array): void => {
      if (name === parts.without) return;
      writeFileSync(join(path, zip ? `${name}.gz` : name), zip ? gzipSync(bytes) : bytes);
    };
    const labels = parts.trainLabels ?? Array.from({ length: train }, (_, i) => i % 3);
    const pixels = (count: number, side: number): Uint8Array =>
      new Uint8Array(count * side * side).map((_, i) => i);
    put("train-images-idx3-ubyte", idxBytes([train, 2, 2], pixels(train, 2)));
    put("train-labels-idx1-ubyte", idxBytes([labels.length], labels));
    put("t10k-images-idx3-ubyte", idxBytes([test, testSide, testSide], pixels(test, testSide)));
    put("t10k-labels-idx1-ubyte", idxBytes([test], new Uint8Array(test)));
    return path;
  }

  test.each([false, true])(
    "reads four files (gzipped: %s) and splits the end of training off",
    async (zip) => {
      const data = await idxDataset("mnist", folder({ zip }), classes);
      expect([data.channels, data.height, data.width]).toEqual([1, 2, 2]);
      expect([data.train.count, data.validation.count, data.test.count]).toEqual([27, 3, 4]);
      expect([...data.validation.labels]).toEqual([0, 1, 2]);
      expect([...data.validation.images]).toEqual([
        108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119,
      ]);
      expect([...data.train.labels.subarray(0, 4)]).toEqual([0, 1, 2, 0]);
    },
  );

  test("names what is wrong", async () => {
    const lacking = folder({ without: "t10k-labels-idx1-ubyte", zip: true });
    expect((await rejection(idxDataset("mnist", lacking, classes))).message).toBe(
      `data set mnist: ${lacking} lacks t10k-labels-idx1-ubyte[.gz]; found there: t10k-images-idx3-ubyte.gz, ` +
        `train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz. Get the files with "kofn data get mnist", or name ` +
        `their folder with --data-dir.`,
    );
    const nowhere = await rejection(idxDataset("kmnist", join(dir, "nowhere"), classes));
    expect(nowhere).toBeInstanceOf(InputError);
    expect(nowhere.message).toContain("found there: no such folder");

    const label = await rejection(
      idxDataset("mnist", folder({ train: 10, trainLabels: [0, 1, 2, 0, 3, 0, 0, 0, 0, 0] }), classes),
    );
    expect(label.message).toMatch(
      /train-labels-idx1-ubyte: expected labels from 0 to 2, found 3 as label number 4\. Get/,
    );
    const counts = await rejection(idxDataset("mnist", folder({ train: 10, trainLabels: [0, 1] }), classes));
    expect(counts.message).toMatch(
      /expected 10 labels, one for each image of .*train-images-idx3-ubyte, found 2\./,
    );
    const sides = await rejection(idxDataset("mnist", folder({ testSide: 3 }), classes));
    expect(sides.message).toMatch(/t10k-images-idx3-ubyte: expected images of 2x2 pixels .* found 3x3/);
    const few = await rejection(idxDataset("mnist", folder({ train: 9 }), classes));
    expect(few.message).toContain("expected at least 10 images for training");
    const none = await rejection(idxDataset("mnist", folder({ test: 0 }), classes));
    expect(none.message).toContain("expected images, found [0, 2, 2]");
    for (const error of [label, counts, sides, few, none]) expect(error).toBeInstanceOf(InputError);
  });
});

const mnist = sharedFolder("datasets/mnist");
describe.skipIf(mnist === undefined)("MNIST", () => {
  test("is read as published", async () => {
    const data = await datasets.mnist({ dir: String(mnist) });
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([55_000, 5_000, 10_000]);
    expect([data.name, data.channels, data.height, data.width]).toEqual(["mnist", 1, 28, 28]);
    expect([...data.train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...data.test.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    const hash = createHash("sha256")
      .update(idxBytes([10_000, 28, 28], data.test.images))
      .digest("hex");
    expect(hash).toBe("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7");
  });
});
