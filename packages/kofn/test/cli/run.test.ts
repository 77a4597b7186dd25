/** `kofn run` as a process, on networks whose results are known by heart. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { coloursModel, linearModel, sidesModel, writeKofn } from "../support/kofn-files.js";
import { tinyModel } from "../support/tiny.js";
import { inParallel, kofn, type Options, type Result, withoutPackage } from "./process.js";

let base: string;
const cli = (args: string, options: Options = {}): Promise<Result> =>
  kofn(args.split(" "), { cwd: base, ...options });

/** 16x8 pixels, the left half of the middle 8x8 in white, all else in black. */
function leftHalf(): Sharp {
  const white = { create: { width: 4, height: 8, channels: 3, background: "white" } } as const;
  return sharp({ create: { width: 16, height: 8, channels: 3, background: "black" } })
    .composite([{ input: white, left: 4, top: 0 }])
    .removeAlpha();
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-run-"));
  const at = (name: string): string => join(base, name);
  const left = await leftHalf().png().toBuffer();
  await Promise.all([
    writeKofn(at("sides.kofn"), sidesModel(), ["left", "right", "neither"]),
    writeKofn(at("colours.kofn"), coloursModel()),
    writeKofn(at("unknown.kofn"), tinyModel()),
    writeKofn(
      at("numbers.kofn"),
      linearModel(["batch", 16], 3, (of, i) => Number(i % 3 === of)),
    ),
    writeFile(at("left.png"), left),
    sharp(left).jpeg({ quality: 100 }).toFile(at("left.jpg")),
    sharp(left).webp({ lossless: true }).toFile(at("left.webp")),
    sharp(left)
      .toColourspace("b-w")
      .extract({ left: 4, top: 0, width: 8, height: 8 })
      .png()
      .toFile(at("grey.png")),
    sharp({ create: { width: 3, height: 2, channels: 4, background: "rgba(0, 255, 0, 0.5)" } })
      .png()
      .toFile(at("green.png")),
    writeFile(at("text.png"), "no image"),
    writeFile(at("cut.png"), left.subarray(0, left.length - 30)),
  ]);
  const bytes = await readFile(at("sides.kofn"));
  bytes[bytes.length - 3] ^= 1;
  await writeFile(at("damaged.kofn"), bytes);
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

test("ranks the classes of an image, and says what was done to it", async () => {
  const { code, stdout, stderr } = await cli("run sides.kofn left.png");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatchInlineSnapshot(`
    "left.png: 16x8 pixels in colour, scaled to cover 4x4, cropped at the centre, made grey; normalised by 0.5/0.25

    class    probability  index
    left        100.00 %      0
    neither       0.00 %      2
    right         0.00 %      1
    "
  `);
});

test("reads PNG, JPEG and WebP, and makes dark what is bright where that is asked for", async () => {
  for (const image of ["left.png", "left.jpg", "left.webp", "grey.png"]) {
    const [plain, inverted] = await Promise.all([
      cli(`run sides.kofn ${image} --json`),
      cli(`run sides.kofn ${image} --invert --top 1 --json`),
    ]);
    expect([plain.code, inverted.code], plain.stderr + inverted.stderr).toEqual([0, 0]);
    expect(JSON.parse(plain.stdout)).toMatchObject({
      path: "sides.kofn",
      image,
      original: { width: image === "grey.png" ? 8 : 16, height: 8, isGrey: image === "grey.png" },
      channels: 1,
      height: 4,
      width: 4,
      invert: false,
      normalization: "0.5/0.25",
      classes: [{ label: "left", index: 0 }, { label: "neither", index: 2 }, { label: "right" }],
    });
    const { classes } = JSON.parse(inverted.stdout) as { classes: { label: string; probability: number }[] };
    expect(classes).toHaveLength(1);
    expect(classes[0].label).toBe("right");
  }
});

test("gives probabilities, of colours without opacity, and of classes without names their places", async () => {
  const { stdout } = await cli("run colours.kofn green.png --json");
  const { classes } = JSON.parse(stdout) as { classes: { label: string; probability: number }[] };
  expect(classes.map(({ label }) => label)).toEqual(["1", "0", "2"]);
  // Four pixels of green are a logit of 4, beside two of 0.
  expect(classes[0].probability).toBeCloseTo(Math.exp(4) / (Math.exp(4) + 2), 5);
  const text = await cli("run colours.kofn green.png --top 1");
  expect(text.stdout).toContain(
    "green.png: 3x2 pixels in colour, scaled to cover 2x2, cropped at the centre, opacity left out; not normalised",
  );
  expect(text.stdout).toMatch(/^1 +96\.47 % +1$/m);
});

test("refuses what it can't classify with exit code 2", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["run none.kofn left.png", /none\.kofn: can't read the file: ENOENT/],
    [
      "run left.png left.png",
      /left\.png: expected a \.kofn file, found something else\. .*kofn pack left\.png -o/,
    ],
    [`run ${base} left.png`, /expected a \.kofn file, found a folder\./],
    ["run damaged.kofn left.png", /damaged\.kofn: .*section "\w+".*damaged/],
    ["run sides.kofn none.png", /none\.png: can't read the image: ENOENT/],
    ["run sides.kofn text.png", /text\.png: expected an image \(PNG, JPEG or WebP\) that can be decoded: /],
    ["run sides.kofn cut.png", /cut\.png: expected an image \(PNG, JPEG or WebP\) that can be decoded: /],
    ["run numbers.kofn left.png", /classifies images, with an input of .*; it has \[1, 16\] and \[1, 3\]/],
    ["run unknown.kofn left.png", /does not say how its input is normalised/],
    ["run sides.kofn left.png --top 0", /--top: expected a whole number of at least 1, got "0"/],
    ["run sides.kofn left.png --fast", /unknown option '--fast'/],
    ["run sides.kofn", /missing required argument 'image'/],
  ];
  const results = await inParallel(cases, ([args]) => cli(args));
  results.forEach(({ code, stdout, stderr }, i) => {
    const [args, message] = cases[i];
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(stderr).toMatch(message);
  });
});

test("says how to install sharp where it is missing", async () => {
  const { code, stdout, stderr } = await cli("run sides.kofn left.png", { env: withoutPackage("sharp") });
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(
    /^error: the package sharp, which decodes images, can't be loaded .*npm install sharp/,
  );
});
