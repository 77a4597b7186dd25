/** The section of a .kofn file that says where the model comes from and what goes into and comes out of it. */

import type { Normalization } from "../data/normalization.js";
import type { ByteReader } from "./bytes.js";
import { ByteWriter } from "./bytes.js";

/** Bytes of a config's hash. */
export const HASH_BYTES = 8;
/** In place of a config's hash where there is none. */
export const NO_CONFIG = "00".repeat(HASH_BYTES);

/** Where a model comes from. */
export interface Provenance {
  /** The version of kofn that wrote the file. */
  readonly kofn: string;
  /** Name of the data set that it was trained on; "" if that is not known. */
  readonly data: string;
  readonly seed: number;
  /** The first 8 bytes of the SHA-256 of config.json, in hexadecimal digits; zeros if there is none. */
  readonly config: string;
  /** On the test split, a fraction. */
  readonly accuracy?: number;
}

export interface Info {
  readonly provenance: Provenance;
  /** Names of the classes, in the order of the logits; none if they are not known. */
  readonly labels: readonly string[];
  /** What the network reads in place of pixels, if that is known. */
  readonly normalization?: Normalization;
  /** Other metadata of the model. */
  readonly metadata: ReadonlyMap<string, string>;
}

export function encodeInfo({ provenance, labels, normalization, metadata }: Info): Uint8Array {
  const writer = new ByteWriter();
  const { kofn, data, seed, config, accuracy = NaN } = provenance;
  writer.text(kofn);
  writer.text(data);
  writer.uint(seed);
  for (let i = 0; i < HASH_BYTES; i++) writer.byte(parseInt(config.slice(2 * i, 2 * i + 2), 16));
  writer.f64(accuracy);
  writer.list(labels, (label) => {
    writer.text(label);
  });
  const { mean, std } = normalization ?? { mean: [], std: [] };
  writer.uint(mean.length);
  for (const value of [...mean, ...std]) writer.f64(value);
  writer.list([...metadata], ([key, value]) => {
    writer.text(key);
    writer.text(value);
  });
  return writer.view();
}

/** Undoes {@link encodeInfo}. */
export function decodeInfo(reader: ByteReader): Info {
  const [kofn, data, seed] = [reader.text(), reader.text(), reader.uint()];
  const config = Array.from(reader.bytes(HASH_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const accuracy = reader.f64();
  const labels = reader.list(() => reader.text());
  const channels = reader.uint();
  if (channels * 16 > reader.left) reader.fail(`a normalisation of ${channels} channels`);
  const values = (): number[] => Array.from({ length: channels }, () => reader.f64());
  const normalization = { mean: values(), std: values() };
  const metadata = new Map(reader.list(() => [reader.text(), reader.text()] as const));
  reader.end();
  return {
    provenance: { kofn, data, seed, config, ...(Number.isNaN(accuracy) ? {} : { accuracy }) },
    labels,
    ...(channels === 0 ? {} : { normalization }),
    metadata,
  };
}
