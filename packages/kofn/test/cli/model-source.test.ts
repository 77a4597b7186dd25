/** Where the command line gets a model from: built anew only where the number of classes changes it. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { modelSource } from "../../src/cli/model-source.js";
import { saveModel } from "../../src/files/models.js";
import { tinyModel } from "../support/tiny.js";
import { temporaryFolder } from "../datasets/files.js";

const folder = temporaryFolder();

test("a network of the zoo is the same as long as its classes are", async () => {
  const source = await modelSource("lenet-5", 3);
  const model = source();
  expect(source(10)).toBe(model);
  const other = source(7);
  expect(other.graph.outputs[0].type?.shape).toEqual(["batch", 7]);
  expect(source()).toBe(other);
  expect(source(10)).toEqual(model);
});

test("that of a file has the classes that it has", async () => {
  const path = join(folder, "tiny.onnx");
  await saveModel(tinyModel(), path);
  const source = await modelSource(path, 1);
  expect(source(50)).toBe(source());
});
