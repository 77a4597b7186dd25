/** The package as it is built, and a small file for it. */

import { fileURLToPath } from "node:url";
import { tinyModel } from "../../../kofn/test/support/tiny.js";
import { weights } from "../../../kofn/src/prune/spec.js";
import { type Case, packedCase, prunedBy } from "./cases.js";

export const packagePath = fileURLToPath(new URL("../..", import.meta.url));

/** A network of a convolution and a fully connected layer, with one sample. */
export function tinyFile(): Promise<Case> {
  const contents = prunedBy(tinyModel(), { "*": weights({ keep: 0.4 }) });
  return packedCase("tiny", contents, [1, 1, 8, 8]);
}
