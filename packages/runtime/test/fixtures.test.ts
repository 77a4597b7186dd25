/** Networks as PyTorch exports them, against what PyTorch computed. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { importModel } from "../../kofn/src/import/import.js";
import { loadModel } from "../../kofn/src/files/models.js";
import { sparseContents } from "../../kofn/src/pack/contents.js";
import { encodeKofn } from "../../kofn/src/pack/file.js";
import { sharedFolder } from "../../kofn/test/support/fixtures.js";
import { largestError, TOLERANCE } from "./support/cases.js";
import { hostsOfFile } from "./support/hosts.js";

const folder = sharedFolder("fixtures");
const NAMES = [
  "lenet5-mnist",
  "resnet20-cifar10",
  "resnet20-cifar10-folded",
  "small-mobile-random",
  "tiny-attention-random",
];

const hosts = hostsOfFile();

describe.skipIf(folder === undefined)("a network that PyTorch exported", () => {
  const numbers = (name: string): Float32Array =>
    new Float32Array(new Uint8Array(readFileSync(join(folder ?? "", name))).buffer);

  describe.each(hosts)("in $name", (host) => {
    test.each(NAMES)("%s", { timeout: 60_000 }, async (name) => {
      const model = importModel(await loadModel(join(folder ?? "", `${name}.onnx`)));
      const { bytes: file } = encodeKofn(sparseContents(model));
      const results = await host.call(async ({ load }, given) => (await load(given.file)).run(given.input), {
        file,
        input: numbers(`${name}.input.bin`),
      });
      expect(largestError(results, numbers(`${name}.logits.bin`))).toBeLessThan(TOLERANCE);
    });
  });
});
