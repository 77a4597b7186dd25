/** What the readers of data sets share: the validation split, the check of labels, and how a folder reads in an error. */

import { readdir } from "node:fs/promises";
import { InputError } from "../errors.js";
import type { ResidentSplit } from "../data/types.js";

const VALIDATION = 5_000;

/**
 * Cuts the validation split off the end of the images for training: 5,000, or a tenth of them if that is less.
 * Copies nothing.
 *
 * @param source for error messages.
 * @throws InputError for fewer than ten images.
 */
export function splitTraining(
  all: ResidentSplit,
  source: string,
): { train: ResidentSplit; validation: ResidentSplit } {
  const validation = validationCount(all.count, source);
  const train = all.count - validation;
  return { train: slice(all, 0, train), validation: slice(all, train, all.count) };
}

/**
 * How many of the images for training are for validation.
 *
 * @throws InputError for fewer than ten images.
 */
export function validationCount(count: number, source: string): number {
  const validation = Math.min(VALIDATION, Math.floor(count / 10));
  if (validation > 0) return validation;
  throw new InputError(
    `${source}: expected at least 10 images for training (a tenth of them is for validation), found ${count}.`,
  );
}

function slice(split: ResidentSplit, from: number, to: number): ResidentSplit {
  const size = split.images.length / split.count;
  return {
    count: to - from,
    images: split.images.subarray(from * size, to * size),
    labels: split.labels.subarray(from, to),
  };
}

/**
 * @param source the file that the labels come from.
 * @param remedy how to get a sound one.
 * @throws InputError if a label is not below `classes`.
 */
export function checkLabels(labels: Uint16Array, classes: number, source: string, remedy: string): void {
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong >= 0) {
    throw new InputError(
      `${source}: expected labels from 0 to ${classes - 1}, found ${labels[wrong]} as label number ${wrong}. ${remedy}`,
    );
  }
}

/** What is in a folder, in words. */
export async function listFolder(dir: string): Promise<string> {
  try {
    const names = (await readdir(dir)).sort();
    if (names.length === 0) return "nothing";
    return names.length > 8 ? `${names.slice(0, 8).join(", ")}, ...` : names.join(", ");
  } catch {
    return "no such folder";
  }
}
