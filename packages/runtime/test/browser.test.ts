/** What browsers alone have: addresses that are relative to the page, workers, and canvases. */

import { describe, expect, test } from "vitest";
import { lenet300100 } from "../../kofn/src/models/lenet.js";
import { encodeKofn } from "../../kofn/src/pack/file.js";
import { weights } from "../../kofn/src/prune/spec.js";
import { caseOf, largestError, prunedBy, TOLERANCE } from "./support/cases.js";
import { chromiumOfFile } from "./support/hosts.js";

const page = chromiumOfFile();

describe.skipIf(!page.isThere)("in Chromium", () => {
  test("runs in a worker", { timeout: 300_000 }, async () => {
    const one = await caseOf("lenet-5: weights 10 %", 3);
    const results = await page.call(
      (_, { file, input }) =>
        new Promise<Float32Array>((resolve, reject) => {
          const script = `
            import { load } from "${location.origin}/dist/index.js";
            onmessage = async ({ data: { file, input } }) => postMessage((await load(file)).run(input));
          `;
          const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
          const worker = new Worker(url, { type: "module" });
          worker.onmessage = ({ data }) => {
            resolve(data as Float32Array);
          };
          worker.onerror = ({ message }) => {
            reject(new Error(message));
          };
          worker.postMessage({ file, input });
        }),
      one,
    );
    expect(largestError(results, one.expected)).toBeLessThan(TOLERANCE);
  });

  test("reads addresses, and says what is missing", async () => {
    const { file } = await caseOf("lenet-5: weights 10 %", 1);
    const bytes = await page.call(async ({ load }, content) => {
      const url = URL.createObjectURL(new Blob([content]));
      return (await load(url)).info.bytes.file;
    }, file as Uint8Array<ArrayBuffer>);
    expect(bytes).toBe(file.length);
    const message = await page.call(async ({ load }, path) => {
      try {
        await load(path);
        return "";
      } catch (error) {
        return String(error);
      }
    }, "none.kofn");
    expect(message).toBe("NetworkError: none.kofn: can't be read: the server answers 404 Not Found");
  });

  test("classifies what is on a canvas", async () => {
    const model = lenet300100();
    model.metadata.set("kofn.input.mean", "[0.25]").set("kofn.input.std", "[0.5]");
    const { bytes } = encodeKofn(prunedBy(model, { fc1: weights({ k: 40 }) }));
    const [painted, expected] = await page.call(async ({ load }, file) => {
      const net = await load(file);
      const context = new OffscreenCanvas(28, 28).getContext("2d");
      if (context === null) throw new Error("no canvas");
      context.fillStyle = "#fff";
      context.fillRect(4, 8, 20, 3);
      const grey = Uint8Array.from({ length: 784 }, (_, i) => {
        const [x, y] = [i % 28, Math.floor(i / 28)];
        return x >= 4 && x < 24 && y >= 8 && y < 11 ? 255 : 0;
      });
      return [net.classify(context.getImageData(0, 0, 28, 28)), net.classify(grey)];
    }, bytes);
    expect(painted).toHaveLength(10);
    expect(painted).toEqual(expected);
  });
});
