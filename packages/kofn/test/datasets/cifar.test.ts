import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CATALOG } from "../../src/datasets/catalog.js";
import { CIFAR10, CIFAR100, cifarDataset, type CifarLayout } from "../../src/datasets/cifar.js";
import { InputError } from "../../src/errors.js";
import { rejection, tarBytes, temporaryFolder } from "./files.js";

const dir = temporaryFolder();
let folders = 0;

/** The real layouts with fewer images. */
const SMALL10: CifarLayout = { ...CIFAR10, trainCount: 600, testCount: 30 };
const SMALL100: CifarLayout = { ...CIFAR100, trainCount: 40, testCount: 20 };
const TEN = CATALOG.cifar10.classes;
const HUNDRED = CATALOG.cifar100.classes;

function records({ labelBytes }: CifarLayout, first: number, count: number, classes: number): Uint8Array {
  const size = labelBytes + 3072;
  const bytes = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    const image = first + i;
    bytes[i * size] = 99;
    bytes[i * size + labelBytes - 1] = image % classes;
    for (let p = 0; p < 3072; p++) bytes[i * size + labelBytes + p] = (image + p) % 256;
  }
  return bytes;
}

function members(layout: CifarLayout, classes: number): [string, Uint8Array][] {
  const { train, test, trainCount, testCount } = layout;
  return [
    ...train.map((file, i): [string, Uint8Array] => [
      file,
      records(layout, i * trainCount, trainCount, classes),
    ]),
    [test, records(layout, 1_000_000, testCount, classes)],
  ];
}

function newFolder(files: readonly (readonly [string, Uint8Array])[]): string {
  const path = join(dir, String(folders++));
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
  return path;
}

function archive(layout: CifarLayout, files: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const readme: [string, Uint8Array] = ["readme.html", new Uint8Array(700)];
  return gzipSync(tarBytes([readme, ...files].map(([name, bytes]) => [`${layout.folder}/${name}`, bytes])), {
    level: 1,
  });
}

describe.each([
  ["cifar10", SMALL10, TEN],
  ["cifar100", SMALL100, HUNDRED],
] as const)("%s", (name, layout, classes) => {
  const files = members(layout, classes.length);
  const total = layout.train.length * layout.trainCount;

  async function check(folder: string): Promise<void> {
    const data = await cifarDataset(name, folder, layout, classes);
    expect([data.channels, data.height, data.width]).toEqual([3, 32, 32]);
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([
      total * 0.9,
      total * 0.1,
      layout.testCount,
    ]);
    for (const [split, first] of [
      [data.train, 0],
      [data.validation, total * 0.9],
      [data.test, 1_000_000],
    ] as const) {
      for (let i = 0; i < split.count; i++) {
        const image = first + i;
        expect(split.labels[i]).toBe(image % classes.length);
        for (const p of [0, 1, 1023, 1024, 3071]) expect(split.images[i * 3072 + p]).toBe((image + p) % 256);
      }
    }
  }

  test("is read from .bin files", async () => {
    await check(newFolder(files));
  });

  test("is read from the unpacked folder, and from the archive as downloaded", async () => {
    const folder = newFolder([[layout.archive, archive(layout, files)]]);
    await check(folder);
    execFileSync("tar", ["-xzf", layout.archive], { cwd: folder });
    writeFileSync(join(folder, layout.archive), "damaged, but no longer needed");
    await check(folder);
  });

  test("names what is wrong", async () => {
    const failure = async (folder: string): Promise<string> => {
      const error = await rejection(cifarDataset(name, folder, layout, classes));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toContain(folder);
      expect(error.message).toContain(`kofn data get ${name}`);
      return error.message;
    };
    const whole = archive(layout, files);
    const inArchive = async (bytes: Uint8Array): Promise<string> =>
      failure(newFolder([[layout.archive, bytes]]));
    const record = layout.labelBytes + 3072;

    expect(await failure(newFolder(files.slice(1)))).toContain(`has neither ${layout.train[0]}`);
    expect(await failure(join(dir, "nowhere"))).toContain("no such folder");
    const cut = files.map(
      ([file, bytes]) => [file, file === layout.test ? bytes.subarray(1) : bytes] as const,
    );
    const lengths = `expected ${layout.testCount} images of ${record} bytes, ${layout.testCount * record} bytes in all, found`;
    expect(await failure(newFolder(cut))).toContain(
      `${layout.test}: ${lengths} ${layout.testCount * record - 1}.`,
    );
    expect(await inArchive(archive(layout, cut))).toContain(lengths);
    const label = files.map(([file, bytes]) => [file, Uint8Array.from(bytes)] as const);
    label[0][1][3 * record + layout.labelBytes - 1] = 200;
    expect(await failure(newFolder(label))).toMatch(/_?batch_1|train\.bin/);
    expect(await inArchive(archive(layout, label))).toContain("found 200 as label number 3");

    expect(await inArchive(whole.subarray(0, whole.length - 200))).toContain("it was cut off");
    expect(await inArchive(gzipSync(new Uint8Array(2000).fill(7)))).toContain(
      "expected the header of a tar member",
    );
    expect(await inArchive(archive(layout, files.slice(0, -1)))).toContain(`none of ${layout.test}`);
    const bomb = archive(layout, [["zeros", new Uint8Array(1 << 25)], ...files]);
    expect(await inArchive(bomb)).toContain("among its first 16777216 other bytes");
    const flipped = Uint8Array.from(whole);
    flipped[whole.length >> 1] ^= 0x55;
    expect(await inArchive(flipped)).toMatch(/damaged|cut off|header of a tar member|labels from 0/);
  });
});

test("the catalogue names the classes that the labels stand for", () => {
  expect(TEN.length).toBe(10);
  expect(HUNDRED.length).toBe(100);
  expect([...HUNDRED].sort()).toEqual(HUNDRED);
  expect(new Set(HUNDRED).size).toBe(100);
});
