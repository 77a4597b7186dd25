/** Reads where a network comes from, and what goes into and comes out of it. */

import type { Reader } from "./reader.js";

/** What the network reads in place of pixels: (pixel / 255 - mean) / std, per channel. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Where a network comes from. */
export interface Provenance {
  /** The version of kofn that wrote the file. */
  readonly kofn: string;
  /** Name of the data set that it was trained on; "" if that is not known. */
  readonly data: string;
  readonly seed: number;
  /** The first 8 bytes of the SHA-256 of the run's config.json, in hexadecimal digits. */
  readonly config: string;
  /** On the test split, a fraction; undefined if it is not known. */
  readonly accuracy: number | undefined;
}

export interface FileInfo {
  readonly provenance: Provenance;
  /** Names of the classes, in the order of the logits; none if they are not known. */
  readonly labels: readonly string[];
  /** Undefined if it is not known. */
  readonly normalization: Normalization | undefined;
}

export function readInfo(info: Reader): FileInfo {
  const [kofn, data, seed] = [info.text(), info.text(), info.uint()];
  const config = Array.from(info.bytes(8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const accuracy = info.f64();
  const labels = info.list(() => info.text());
  const channels = info.uint();
  if (channels * 16 > info.left) info.fail(`a normalisation of ${channels} channels`);
  const numbers = (): number[] => Array.from({ length: channels }, () => info.f64());
  const [mean, std] = [numbers(), numbers()];
  info.list(() => [info.text(), info.text()]);
  info.end();
  return {
    provenance: { kofn, data, seed, config, accuracy: Number.isNaN(accuracy) ? undefined : accuracy },
    labels,
    normalization: channels === 0 ? undefined : { mean, std },
  };
}
