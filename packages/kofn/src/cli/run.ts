/** `kofn run`: classifies an image with a .kofn file, as @kofn/runtime computes it. */

import { readFile } from "node:fs/promises";
import type { Classification, Network } from "@kofn/runtime";
import type { Command } from "commander";
import type { Geometry } from "../data/geometry.js";
import { formatNormalization } from "../data/normalization.js";
import { Decoder, type Original } from "../datasets/decoder.js";
import { InputError, KofnError, messageOf } from "../errors.js";
import { percent, whole } from "../figures.js";
import { loadNetwork, readKofn } from "../files/network.js";
import { countOption } from "./options.js";
import { print, printJson, table } from "./terminal.js";

const MOST_SHOWN = 5;

const EXAMPLES = `
The image is scaled so that it covers the network's size, cropped at the centre, and made grey for networks of one channel, as kofn
train does with folders of images. Opacity is left out. Networks for MNIST read bright digits on a dark ground: of a dark digit on
paper, give --invert.

Examples:
  kofn run model.kofn photo.jpg
  kofn run digits.kofn seven.png --invert --top 3
  kofn run model.kofn photo.jpg --json`;

export function addRunCommand(program: Command): void {
  program
    .command("run")
    .summary("classify an image with a .kofn file")
    .description("Prints the classes of an image, the most likely first, as @kofn/runtime computes them.")
    .argument("<file>", ".kofn file of a network that reads images")
    .argument("<image>", "PNG, JPEG or WebP file")
    .option("--top <n>", `so many classes (default: ${MOST_SHOWN})`)
    .option("--invert", "make dark pixels bright and bright ones dark")
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action(runCommand);
}

interface RunFlags {
  readonly top?: string;
  readonly invert?: true;
  readonly json?: true;
}

async function runCommand(path: string, imagePath: string, flags: RunFlags): Promise<void> {
  const top = countOption("--top", flags.top) ?? MOST_SHOWN;
  const invert = flags.invert === true;
  const net = await loadNetwork(path, await readKofn(path));
  const size = imageSize(path, net);
  const { original, pixels } = await readImage(imagePath, size);
  if (invert) pixels.forEach((value, i) => (pixels[i] = 255 - value));
  const classes = net.classify(pixels).slice(0, top);
  const normalization = formatNormalization(net.info.normalization ?? "none");
  const normalized = normalization === "none" ? "not normalised" : `normalised by ${normalization}`;
  if (flags.json === true) {
    printJson({ path, image: imagePath, original, ...size, invert, normalization, classes });
    return;
  }
  print(`${imagePath}: ${changes(original, size, invert).join(", ")}; ${normalized}`);
  print();
  for (const line of classTable(classes)) print(line);
}

/**
 * The images that a network reads.
 *
 * @throws InputError if it is none that classifies images, or does not say how they are normalised.
 */
function imageSize(path: string, { info }: Network): Geometry {
  const { input, output, normalization } = info;
  const [, channels, height, width] = input;
  const isImage = input.length === 4 && (channels === 1 || channels === 3);
  if (!isImage || output.slice(2).some((dim) => dim !== 1)) {
    throw new InputError(
      `${path}: expected a network that classifies images, with an input of [1, 1 or 3, height, width] and a result for each class; ` +
        `it has [${input.join(", ")}] and [${output.join(", ")}]. @kofn/runtime runs it: (await load("${path}")).run(input).`,
    );
  }
  if (normalization === undefined) {
    throw new InputError(
      `${path}: the file does not say how its input is normalised, as files from a run of kofn train do. Pack such a run, or normalise pixels and call run of @kofn/runtime.`,
    );
  }
  return { channels, height, width };
}

async function readImage(
  path: string,
  size: Geometry,
): Promise<{ readonly original: Original; readonly pixels: Uint8Array }> {
  let source: Uint8Array;
  try {
    source = await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the image: ${messageOf(error)}.`, { cause: error });
  }
  const picture = { name: path, label: 0, source };
  const decoder = await Decoder.open(size, picture);
  const pixels = new Uint8Array(decoder.size);
  try {
    const original = await decoder.original(picture);
    await decoder.decode(picture, pixels, 0);
    return { original, pixels };
  } catch (error) {
    if (error instanceof KofnError) throw error;
    throw new InputError(
      `${path}: expected an image (PNG, JPEG or WebP) that can be decoded: ${messageOf(error).split("\n")[0]}.`,
      { cause: error },
    );
  }
}

/** What was done to an image, in order. */
function changes(original: Original, { channels, height, width }: Geometry, invert: boolean): string[] {
  const { isGrey, hasOpacity } = original;
  const isWider = original.width * height !== original.height * width;
  const isScaled = original.width !== width || original.height !== height;
  return [
    `${whole(original.width)}x${whole(original.height)} pixels in ${isGrey ? "grey" : "colour"}`,
    ...(isScaled ? [`scaled to ${isWider ? "cover " : ""}${width}x${height}`] : []),
    ...(isWider ? ["cropped at the centre"] : []),
    ...(hasOpacity ? ["opacity left out"] : []),
    ...(channels === 1 && !isGrey ? ["made grey"] : []),
    ...(channels === 3 && isGrey ? ["grey in three channels"] : []),
    ...(invert ? ["inverted"] : []),
  ];
}

function classTable(classes: readonly Classification[]): string[] {
  const right = { align: "right" } as const;
  return table(
    [{ title: "class" }, { title: "probability", ...right }, { title: "index", ...right }],
    classes.map(({ label, probability, index }) => [label, percent(probability), whole(index)]),
  );
}
