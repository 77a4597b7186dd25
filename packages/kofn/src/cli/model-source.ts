/** Where a model comes from: the zoo by name, or an ONNX file by path. */

import { stat } from "node:fs/promises";
import { InputError } from "../errors.js";
import { importModel } from "../import/import.js";
import { ZOO } from "../models/zoo.js";
import { loadModel } from "../files/models.js";
import type { Model } from "../onnx/model.js";
import { suggestion } from "./suggest.js";

/**
 * A model, once it is known how many classes there are; as long as that does not change it, the same one again. The model of a file has
 * the classes that it has.
 */
export type ModelSource = (classes?: number) => Model;

/**
 * @param name a name of the zoo, or the path of an .onnx file.
 * @throws InputError if it is neither, or the file is no ONNX model that can be imported.
 */
export async function modelSource(name: string, seed: number): Promise<ModelSource> {
  const [, build] = Object.entries(ZOO).find(([known]) => known === name) ?? [];
  if (build !== undefined) return zooSource(build, seed);
  const isFile = (await stat(name).catch(() => undefined)) !== undefined;
  if (!isFile && !/[./\\]/.test(name)) {
    const zoo = Object.keys(ZOO);
    throw new InputError(
      `model "${name}": no model of the zoo has this name, and there is no such file.${suggestion(name, zoo)} Models: ${zoo.join(", ")}, or the path of an .onnx file.`,
    );
  }
  const model = importModel(await loadModel(name));
  return () => model;
}

function zooSource(build: (typeof ZOO)[keyof typeof ZOO], seed: number): ModelSource {
  let model = build({ seed });
  return (classes = classesOf(model)) => {
    if (classes !== classesOf(model)) model = build({ seed, classes });
    return model;
  };
}

function classesOf({ graph }: Model): number {
  return Number(graph.outputs[0].type?.shape?.at(-1));
}
