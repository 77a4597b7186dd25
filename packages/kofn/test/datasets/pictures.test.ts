import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { folderDataset } from "../../src/datasets/folder.js";
import { parquetDataset } from "../../src/datasets/parquet.js";
import { loadDataset } from "../../src/datasets/registry.js";
import { InputError } from "../../src/errors.js";
import { train } from "../../src/run/train.js";
import { parquetBytes } from "../support/parquet.js";
import { tinyModel } from "../support/tiny.js";

const root = mkdtempSync(join(tmpdir(), "kofn-pictures-"));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const SIZE = { channels: 3, height: 8, width: 8 };

interface Shape {
  readonly width?: number;
  readonly height?: number;
  readonly format?: "png" | "jpeg" | "webp";
}

/** A plane of one colour. */
async function picture(
  red: number,
  green = red,
  blue = red,
  { width = 8, height = 8, format = "png" }: Shape = {},
): Promise<Uint8Array> {
  const background = { r: red, g: green, b: blue };
  return sharp({ create: { width, height, channels: 3, background } })
    .toFormat(format, { lossless: true })
    .toBuffer();
}

let folders = 0;
/** A folder with these files. */
function folder(files: Readonly<Record<string, Uint8Array | string>>): string {
  const path = join(root, `set ${++folders}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

/** Ten dark and ten bright images in folders of their classes, under a prefix. */
async function twoClasses(prefix = "", count = 10): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (let i = 0; i < count; i++) {
    files[`${prefix}dark/${i}.png`] = await picture(10 + i, 0, 0);
    files[`${prefix}bright/${i}.PNG`] = await picture(200 + i, 255, 255);
  }
  return files;
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).message;
}

describe("a folder of class folders", () => {
  test("is divided at random, always alike, with classes by name", async () => {
    const path = folder({ ...(await twoClasses()), "dark/.hidden.png": "x", "dark/notes.txt": "x" });
    const notes: string[] = [];
    const data = await folderDataset(path, { size: SIZE, onNote: (note) => notes.push(note) });
    expect(data.classes).toEqual(["bright", "dark"]);
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([16, 2, 2]);
    expect(notes.join()).toContain("1 files are no .jpg, .jpeg, .png or .webp and are left out, such as");
    const reds: number[] = [];
    for (const { images, labels } of [data.train, data.validation, data.test]) {
      labels.forEach((label, i) => {
        const [red, green] = [(images as Uint8Array)[i * 192], (images as Uint8Array)[i * 192 + 64]];
        expect([red >= 200 ? 0 : 1, green]).toEqual([label, label === 0 ? 255 : 0]);
        reds.push(red);
      });
    }
    expect(new Set(reds).size).toBe(20);
    expect(new Set(data.train.labels.subarray(0, 8)).size).toBe(2);
    expect(data.augmentation).toEqual({ crop: 1, flip: true });
    expect(await folderDataset(path, { size: SIZE })).toEqual(data);
  });

  test("may have train and test or val", async () => {
    const [training, testing, validating] = [
      await twoClasses("train/"),
      await twoClasses("test/", 2),
      await twoClasses("val/", 1),
    ];
    const two = await folderDataset(folder({ ...training, ...testing }), { size: SIZE });
    expect([two.train.count, two.validation.count, two.test.count]).toEqual([18, 2, 4]);
    const three = await folderDataset(folder({ ...training, ...testing, ...validating }), { size: SIZE });
    expect([three.train.count, three.validation.count, three.test.count]).toEqual([20, 2, 4]);
    const val = await folderDataset(folder({ ...training, ...validating }), { size: SIZE });
    expect([val.train.count, val.validation.count, val.test.count]).toEqual([18, 2, 2]);
    const other = folder({ ...training, "test/dusk/1.png": await picture(1) });
    expect(await refusal(folderDataset(other))).toContain("found others: dusk");
  });

  test("is cropped to the size at the centre, in colour or grey, out of any format", async () => {
    // Left, middle and right thirds in red, green and blue.
    const thirds = [await picture(255, 0, 0), await picture(0, 255, 0), await picture(0, 0, 255)];
    const composite = thirds.map((input, i) => ({ input: Buffer.from(input), left: 8 * i, top: 0 }));
    const wide = sharp({ create: { width: 24, height: 8, channels: 4, background: "white" } }).composite(
      composite,
    );
    const files = await twoClasses();
    const few = {
      "dark/wide.png": await wide.png().toBuffer(),
      "dark/w.webp": await picture(9, 9, 9, { format: "webp" }),
    };
    const grey = await sharp(await picture(100))
      .greyscale()
      .png()
      .toBuffer();
    const path = folder({
      ...files,
      ...few,
      "dark/grey.png": grey,
      "bright/large.jpg": await picture(240, 240, 240, { width: 31, height: 17, format: "jpeg" }),
    });
    const all = async (channels: number): Promise<number[][]> => {
      const data = await folderDataset(path, { size: { ...SIZE, channels } });
      return [data.train, data.validation, data.test].flatMap(({ images, count }) =>
        Array.from({ length: count }, (_, i) => [
          ...(images as Uint8Array).subarray(i * channels * 64, (i + 1) * channels * 64),
        ]),
      );
    };
    const planes = (...values: number[]): number[] =>
      values.flatMap((value) => Array.from({ length: 64 }, () => value));
    const colour = await all(3);
    expect(colour).toHaveLength(24);
    for (const values of [planes(0, 255, 0), planes(9, 9, 9), planes(100, 100, 100), planes(240, 240, 240)]) {
      expect(colour).toContainEqual(values);
    }
    const greys = await all(1);
    for (const value of [9, 100, 240]) expect(greys).toContainEqual(planes(value));
    expect(await refusal(folderDataset(path, { size: { ...SIZE, channels: 4 } }))).toContain(
      "but the model takes 4",
    );
  });

  test("trains alike whether it is kept in memory or decoded on the way", async () => {
    const path = folder(await twoClasses("", 30));
    const size = { ...SIZE, channels: 1 };
    const [kept, encoded] = [await folderDataset(path, { size }), await folderDataset(path, { size }, 1000)];
    expect(encoded.train.images).not.toBeInstanceOf(Uint8Array);
    expect(encoded.normalization).toEqual(kept.normalization);
    const options = { model: tinyModel(), epochs: 2, batch: 10, augment: { crop: 1, flip: true } };
    const [a, b] = [await train({ ...options, data: kept }), await train({ ...options, data: encoded })];
    expect(b.metrics.map((line) => line.train.loss)).toEqual(a.metrics.map((line) => line.train.loss));
    expect(b.report.result).toEqual(a.report.result);
  });

  test("with damaged images stops and names them, or goes on as asked", async () => {
    const sound = await picture(3, 3, 3, { width: 64, height: 64, format: "jpeg" });
    const path = folder({
      ...(await twoClasses("", 30)),
      "dark/cut.jpg": sound.subarray(0, sound.length - 200),
      "dark/text.png": "no image",
      "dark/empty.webp": "",
    });
    const message = await refusal(folderDataset(path, { size: SIZE }));
    expect(message).toContain("3 of 63 images can't be decoded: ");
    for (const name of ["dark/cut.jpg (", "dark/text.png (", "dark/empty.webp ("])
      expect(message).toContain(name);
    expect(message).toContain("--skip-bad-images");
    const notes: string[] = [];
    const data = await folderDataset(path, {
      size: SIZE,
      skipBadImages: true,
      onNote: (note) => notes.push(note),
    });
    expect(data.train.count + data.validation.count + data.test.count).toBe(60);
    expect(notes.join()).toContain("going on without them");
  });

  test("that is none is refused", async () => {
    const one = await picture(1);
    const few = await twoClasses("", 4);
    expect(await refusal(folderDataset(folder({ "a/1.png": one, "a/2.png": one })))).toContain(
      "expected at least two classes, a folder of images for each, found one: a.",
    );
    expect(await refusal(folderDataset(folder({ "a/1.txt": "x", "b/1.txt": "x" })))).toContain(
      "found none. In it: a, b.",
    );
    expect(await refusal(folderDataset(folder({ "a/1.png": one, "b/1.txt": "x" })))).toContain(
      "found none in b.",
    );
    expect(await refusal(folderDataset(folder(few)))).toContain("expected at least 10 images");
    expect(await refusal(folderDataset(join(root, "nowhere")))).toContain("can't read the folder");
    expect(await refusal(loadDataset(join(root, "nowhere")))).toContain("no such data set");

    const dangling = folder(few);
    symlinkSync(join(root, "nowhere"), join(dangling, "dark", "link.png"));
    expect(await refusal(folderDataset(dangling))).toContain(
      "link.png: expected a link to an image or a folder, but it leads nowhere",
    );
    const self = folder(few);
    symlinkSync("loop.png", join(self, "dark", "loop.png"));
    expect(await refusal(folderDataset(self))).toContain("leads in circles");
    const circle = folder(few);
    symlinkSync("..", join(circle, "dark", "up"));
    expect(await refusal(folderDataset(circle))).toContain("leads in circles, back to");
  });
});

describe("parquet", () => {
  const NAMES = JSON.stringify({
    info: { features: { label: { names: ["dark", "bright"], _type: "ClassLabel" } } },
  });
  const images = Promise.all(Array.from({ length: 20 }, (_, i) => picture(i < 10 ? 10 + i : 200 + i)));
  const labels = Array.from({ length: 20 }, (_, i): number => (i < 10 ? 0 : 1));

  test("files are read, alone or as a folder of splits, with the names of classes", async () => {
    const bytes = parquetBytes(await images, labels, NAMES);
    const path = folder({
      "data/train-0.parquet": bytes,
      "data/test-0.parquet": bytes,
      "one.parquet": bytes,
    });
    const both = await loadDataset(path, { size: SIZE });
    expect([both.train.count, both.validation.count, both.test.count]).toEqual([18, 2, 20]);
    expect(both.classes).toEqual(["dark", "bright"]);
    both.test.labels.forEach((label, i) => {
      expect((both.test.images as Uint8Array)[i * 192] >= 200).toBe(label === 1);
    });
    const one = await loadDataset(join(path, "one.parquet"), { size: SIZE });
    expect([one.name, one.train.count, one.validation.count, one.test.count]).toEqual(["one", 16, 2, 2]);
    const nameless = folder({ "a.parquet": parquetBytes(await images, labels) });
    expect((await parquetDataset(join(nameless, "a.parquet"))).classes).toEqual(["0", "1"]);
  });

  test("files that are damaged or hold something else are refused", async () => {
    const bytes = parquetBytes(await images, labels, NAMES);
    const late = bytes.slice();
    late.fill(0xff, 4, 60);
    const path = folder({
      "cut.parquet": bytes.subarray(0, bytes.length - 100),
      "late.parquet": late,
      "text.parquet": "no parquet",
      "empty.parquet": "",
      "label.parquet": parquetBytes(await images, labels.with(3, 2), NAMES),
      "negative.parquet": parquetBytes(await images, labels.with(3, -1)),
      "class.parquet": parquetBytes(
        await images,
        labels.map(() => 0),
      ),
      "image.parquet": parquetBytes((await images).with(4, Uint8Array.of(1, 2, 3)), labels),
    });
    const of = (name: string): Promise<string> =>
      refusal(loadDataset(join(path, `${name}.parquet`), { size: SIZE }));
    for (const name of ["cut", "late", "text", "empty"])
      expect(await of(name)).toContain("expected a sound parquet file");
    expect(await of("label")).toContain(
      "row 3: expected labels from 0 to 1, for the metadata names 2 classes, found 2",
    );
    expect(await of("negative")).toContain("row 3: expected a label from 0 to 65535, found -1");
    expect(await of("class")).toContain("at least two classes");
    expect(await of("image")).toContain("1 of 20 images can't be decoded: ");
  });
});
