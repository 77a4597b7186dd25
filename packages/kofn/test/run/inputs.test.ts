/** Digests of model and data change with whatever a run depends on, and with nothing else. */

import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Dataset, EncodedImages, ResidentDataset } from "../../src/data/types.js";
import { folderDataset } from "../../src/datasets/folder.js";
import { InputError } from "../../src/errors.js";
import { decodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import { int } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { checkInputs, digestInputs } from "../../src/run/inputs.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const SEED = Math.floor(Math.random() * 1e6);
const random = new Random(SEED, "inputs");

const SPLITS = ["train", "validation", "test"] as const;

describe("the digest of a model", () => {
  const of = async (
    change: (model: ReturnType<typeof tinyModel>) => void = () => undefined,
  ): Promise<string> => {
    const model = decodeModel(encodeModelBytes(tinyModel()).slice(), "tiny");
    change(model);
    return (await digestInputs(model, tinyData())).model;
  };

  test("is that of the graph, its weights and its operators", async () => {
    const digests = [await of()];
    for (const [name, { size }] of tinyModel().graph.initializers) {
      const at = random.below(size * 4);
      digests.push(
        await of(({ graph }) => {
          const bytes = graph.initializers.get(name)?.bytes ?? new Uint8Array();
          bytes[at] ^= 1 << random.below(8);
        }),
      );
    }
    digests.push(
      await of(({ graph }) => graph.nodes.find(({ op }) => op === "Flatten")?.attributes.set("axis", int(1))),
      await of(({ graph }) => {
        graph.nodes[1].op = "Sigmoid";
      }),
      await of(({ opsets }) => opsets.set("", 20)),
    );
    expect(new Set(digests).size, `seed ${SEED}`).toBe(digests.length);
  });

  test("is not of what wrote it, nor of its metadata", async () => {
    const other = await of((model) => {
      model.producerName = "other";
      model.producerVersion = "2";
      model.metadata.set("key", "value");
    });
    expect(other).toBe(await of());
  });
});

describe("the digest of data", () => {
  const of = async (data: Dataset): Promise<string> => (await digestInputs(tinyModel(), data)).data;

  test("in memory is that of every byte of images and labels, of their shape and of the classes", async () => {
    const data = tinyData();
    const changed: ResidentDataset[] = SPLITS.flatMap((name) => {
      const split = data[name];
      const [images, labels] = [split.images.slice(), split.labels.slice()];
      images[random.below(images.length)] ^= 1 << random.below(8);
      labels[random.below(labels.length)] ^= 1;
      return [
        { ...data, [name]: { ...split, images } },
        { ...data, [name]: { ...split, labels } },
      ];
    });
    const { train, validation } = data;
    const all = [
      data,
      ...changed,
      { ...data, classes: ["0", "2", "1"] },
      { ...data, height: 4, width: 16 },
      { ...data, train: validation, validation: train },
    ];
    const digests = await Promise.all(all.map(of));
    expect(new Set(digests).size, `seed ${SEED}`).toBe(all.length);
    expect(await of({ ...tinyData(), name: "other" })).toBe(digests[0]);
  });

  test("that are decoded on demand is that of labels, of pixels, and of what the images say of themselves", async () => {
    const resident = tinyData();
    const encoded = (images: Uint8Array, digest?: string, labels = resident.train.labels): Dataset => {
      const size = 64;
      const source: EncodedImages = {
        decode: (numbers, target) => {
          numbers.forEach((from, i) => {
            target.set(images.subarray(from * size, (from + 1) * size), i * size);
          });
          return Promise.resolve();
        },
        ...(digest === undefined ? {} : { digest: () => Promise.resolve(Buffer.from(digest)) }),
      };
      return { ...resident, train: { ...resident.train, images: source, labels } };
    };
    const { images, labels } = resident.train;
    const inverted = images.map((value) => 255 - value);
    const relabelled = labels.map((label) => (label + 1) % 3);
    const all = [
      encoded(images),
      encoded(images, "a"),
      encoded(images, "b"),
      encoded(inverted),
      encoded(images, undefined, relabelled),
    ];
    expect(new Set(await Promise.all(all.map(of))).size).toBe(all.length);
    expect(await of(encoded(images.slice(), "a"))).toBe(await of(encoded(images, "a")));
  });
});

describe("the digest of a folder of images", () => {
  let base: string;
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), "kofn-inputs-"));
  });
  afterAll(() => {
    rmSync(base, { recursive: true });
  });

  /** A folder of 200 images of two classes, more than are looked at. */
  async function photos(name: string): Promise<string> {
    for (let i = 0; i < 200; i++) {
      const file = join(base, name, i % 2 === 0 ? "dark" : "light", `${i}.png`);
      mkdirSync(dirname(file), { recursive: true });
      const create = { width: 8, height: 8, channels: 3, background: { r: i, g: i, b: i } } as const;
      writeFileSync(file, await sharp({ create }).png().toBuffer());
    }
    return join(base, name);
  }

  test("has the name and the size of each, be they kept in memory or not", async () => {
    const path = await photos("photos");
    for (const memory of [undefined, 1000]) {
      const of = async (): Promise<string> => {
        const data = await folderDataset(path, { size: { channels: 3, height: 8, width: 8 } }, memory);
        expect(data.train.images instanceof Uint8Array).toBe(memory === undefined);
        return (await digestInputs(tinyModel(), data)).data;
      };
      const digests = [await of()];
      expect(await of()).toBe(digests[0]);
      const file = join(path, "dark", `${2 * random.below(100)}.png`);
      const before = readFileSync(file);
      const create = { width: 8, height: 8, channels: 3, background: { r: 7, g: 90, b: 200 } } as const;
      writeFileSync(file, await sharp({ create }).jpeg().toBuffer());
      digests.push(await of());
      writeFileSync(file, before);
      expect(await of()).toBe(digests[0]);
      const moved = join(path, "light", "moved.png");
      renameSync(file, moved);
      digests.push(await of());
      renameSync(moved, file);
      expect(new Set(digests).size, `seed ${SEED}, ${file}`).toBe(digests.length);
    }
  });
});

describe("what has changed", () => {
  const digests = { kofn: "0.1.0", model: "a".repeat(64), data: "b".repeat(64) };
  const names = { model: "/nets/net.onnx", data: "/photos" };
  const complaint = (before: object, now: object, masks?: string): string => {
    try {
      checkInputs({ ...digests, ...before }, { ...digests, ...now }, { ...names, masks }, "runs/a");
    } catch (error) {
      if (error instanceof InputError) return error.message;
    }
    return "";
  };

  test("is named with what was expected and what was found", () => {
    expect(complaint({}, {})).toBe("");
    expect(complaint({ kofn: "0.0.9" }, {})).toBe("");
    expect(complaint({}, { model: "c".repeat(64) })).toMatchInlineSnapshot(
      `"--resume goes on with what the run in "runs/a" was begun with, but these have changed since: model /nets/net.onnx (SHA-256 cccccccccccc, was aaaaaaaaaaaa). Put back what was there, or begin a new run."`,
    );
    expect(
      complaint({ kofn: "0.0.9" }, { model: "c".repeat(64), data: "d".repeat(64) }),
    ).toMatchInlineSnapshot(
      `"--resume goes on with what the run in "runs/a" was begun with, but these have changed since or are read otherwise by kofn 0.1.0 (was 0.0.9): model /nets/net.onnx (SHA-256 cccccccccccc, was aaaaaaaaaaaa), data /photos (SHA-256 dddddddddddd, was bbbbbbbbbbbb). Put back what was there, or begin a new run."`,
    );
    expect(complaint({ masks: "e".repeat(64) }, { masks: "f".repeat(64) }, "/masks")).toMatchInlineSnapshot(
      `"--resume goes on with what the run in "runs/a" was begun with, but these have changed since: masks /masks (SHA-256 ffffffffffff, was eeeeeeeeeeee). Put back what was there, or begin a new run."`,
    );
  });

  test("is masks, too", async () => {
    const of = async (bit: number): Promise<string | undefined> => {
      const masks = new Map([["fc.weight", tensor("uint8", [2], Uint8Array.of(1, bit))]]);
      return (await digestInputs(tinyModel(), tinyData(), masks)).masks;
    };
    expect(await of(0)).toBe(await of(0));
    expect(await of(0)).not.toBe(await of(1));
    expect(await digestInputs(tinyModel(), tinyData())).not.toHaveProperty("masks");
  });
});
