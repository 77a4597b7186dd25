/** `kofn train` on a folder of images that has fewer classes than the model. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { saveModel } from "../../src/files/models.js";
import { tinyModel } from "../support/tiny.js";
import { kofn } from "./process.js";

test("says which of the model's classes those of the folder are", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kofn-classes-"));
  try {
    for (const [name, grey] of [
      ["dogs", 30],
      ["cats", 200],
    ] as const) {
      mkdirSync(join(folder, "photos", name), { recursive: true });
      for (let i = 0; i < 20; i++) {
        const pixels = Buffer.alloc(64, grey + i);
        const image = sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } });
        await image.png().toFile(join(folder, "photos", name, `${i}.png`));
      }
    }
    await saveModel(tinyModel(), join(folder, "tiny.onnx"));
    const args = ["train", "tiny.onnx", "--data", "photos", "--batch", "8", "--epochs", "1", "--keep", "50%"];
    const { code, stderr } = await kofn(args, { cwd: folder });
    expect(stderr).toContain(
      "the model has 3 classes, data set photos has 2: these are taken for the model's first 2, in this order: cats, dogs\n",
    );
    expect(code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
