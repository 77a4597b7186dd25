/** Finds out whether onnxruntime computes convolutions in its blocked layout here, and with how many channels in a block. */

import { messageOf } from "../errors.js";
import { BLOCKED_DOMAIN } from "../lower/blocked/layouts.js";
import { modelOf } from "../lower/model.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, int, ints, type Model, OPSET } from "../onnx/model.js";
import type { Engine, Value } from "./session.js";

/** onnxruntime's blocks have 8 or 16 channels; both divide this. */
const CHANNELS = 16;
const TOLERANCE = 1e-4;

let found: Promise<number | undefined> | undefined;

/**
 * How many channels a block has, or undefined where convolutions are to be computed in the plain layout: on other providers
 * than "cpu", and where onnxruntime's operators on blocks (which are its own, and not promised to anyone) are absent
 * or do not compute what the standard ones do; then a warning says so. They are tried once in a process.
 */
export async function blockOf(engine: Engine): Promise<number | undefined> {
  if (engine.provider !== "cpu") return undefined;
  found ??= tryBlocks(engine).catch((error: unknown) => {
    process.emitWarning(
      `onnxruntime's blocked convolutions can't be used here (${messageOf(error)}); training computes convolutions ` +
        `in the plain layout, which takes longer`,
    );
    return undefined;
  });
  return found;
}

async function tryBlocks(engine: Engine): Promise<number> {
  const block = await sizeOfBlock(engine);
  if (block !== 8 && block !== 16)
    throw new Error(`a block of ${block} channels was found, expected 8 or 16`);
  const [plain, blocked] = [await convolution(engine, undefined), await convolution(engine, block)];
  plain.forEach((values, i) => {
    values.forEach((value, j) => {
      if (!(Math.abs(value - blocked[i][j]) <= TOLERANCE * (1 + Math.abs(value)))) {
        throw new Error(`they give ${blocked[i][j]} where the standard operators give ${value}`);
      }
    });
  });
  return block;
}

/** In two pixels of many channels the second pixel begins after one block. */
async function sizeOfBlock(engine: Engine): Promise<number> {
  const b = new Builder(emptyGraph("block"));
  const dims = [1, CHANNELS, 1, 2];
  const x = b.input("x", "float32", dims);
  b.output(b.foreign(BLOCKED_DOMAIN, "ReorderInput", [x], {}, b.type(x), "y"));
  const pixels = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i % 2);
  const opsets = new Map([
    ["", OPSET],
    [BLOCKED_DOMAIN, 1],
  ]);
  const model = { ...modelOf(emptyGraph("block")), opsets, graph: b.graph };
  const [values] = await run(engine, model, { x: engine.value("float32", dims, pixels) });
  return values.indexOf(1);
}

/** A small convolution with pads and strides, and its gradients. */
async function convolution(engine: Engine, block: number | undefined): Promise<Float32Array[]> {
  const b = new Builder(emptyGraph("convolution"));
  const [dims, wDims] = [
    [CHANNELS, CHANNELS, 4, 6],
    [2 * CHANNELS, CHANNELS, 3, 3],
  ];
  const x = b.input("x", "float32", dims);
  const w = b.input("w", "float32", wDims);
  const attributes = { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]), group: int(1) };
  const y = b.op("Conv", [x, w], attributes, "y");
  b.output(y);
  b.output(b.op("ConvGradInput", [y, w], { ...attributes, input_shape: ints(dims) }, "dx"));
  b.output(b.op("ConvGradWeight", [y, x], { ...attributes, kernel_shape: ints([3, 3]) }, "dw"));
  const fill = (shape: readonly number[]): Value => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
    return engine.value("float32", shape, values);
  };
  return run(engine, modelOf(b.graph, { block }), { x: fill(dims), w: fill(wDims) });
}

async function run(
  engine: Engine,
  model: Model,
  feeds: Readonly<Record<string, Value>>,
): Promise<Float32Array[]> {
  const session = await engine.session(model);
  try {
    const names = model.graph.outputs.map(({ name }) => name);
    const results = await session.run(feeds, Object.fromEntries(names.map((name) => [name, null])));
    return names.map((name) => (results[name].data as Float32Array).slice());
  } finally {
    await session.close();
  }
}
