/** Where the model of a run comes from. */

import type { Report } from "@kofn/format/run/types.js";
import { NO_CONFIG, type Provenance } from "../pack/info-section.js";
import { VERSION } from "../version.js";

/** @param config the first digits of the SHA-256 of config.json; whatever it is, it takes the same space. */
export function provenanceOf(
  { data, seed, result }: Pick<Report, "data" | "seed" | "result">,
  config = NO_CONFIG,
): Provenance {
  return { kofn: VERSION, data: data.name, seed, config, accuracy: result.test.accuracy };
}
