/** The tensors that a training run changes from step to step: parameters, mask logits, and the states of their optimizers. */

import type { Engine, Value } from "../engine/session.js";
import { InputError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { sizeOf, type Tensor, tensor } from "../onnx/tensor.js";
import type { SamplerOptions } from "../options/types.js";
import { magnitudes, membersOf } from "../prune/groups.js";
import type { PrunedLayer } from "../prune/types.js";
import { Random } from "../random.js";
import { runningStatistics } from "./batch-norm.js";
import { logitsName, type StepTensor } from "./compile.js";
import { trainable } from "./parameters.js";

const LOGIT_DEVIATION = 0.5;

interface Slot extends StepTensor {
  readonly arrays: readonly Float32Array[];
  /** The arrays as onnxruntime takes them. */
  readonly values: readonly Value[];
}

/** A tensor that the host changes in place. */
export interface HeldTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly array: Float32Array;
}

/**
 * Two buffers for each tensor of the graph: a step reads one and writes the other, and the next step the other way round,
 * so that nothing is allocated while training. What the host holds has one.
 */
export class State {
  readonly #slots: ReadonlyMap<string, Slot>;
  readonly #held: ReadonlyMap<string, HeldTensor>;
  /** Which of the two buffers holds the current values. */
  #current: 0 | 1 = 0;

  constructor(
    engine: Engine,
    tensors: readonly StepTensor[],
    held: readonly HeldTensor[],
    initial: ReadonlyMap<string, Float32Array>,
  ) {
    this.#held = new Map(held.map((one) => [one.name, one]));
    for (const { name, array } of held) array.set(initial.get(name) ?? []);
    this.#slots = new Map(
      tensors.map((one) => {
        const size = sizeOf(one.dims);
        const arrays = [initial.get(one.name)?.slice() ?? new Float32Array(size), new Float32Array(size)];
        const values = arrays.map((array) => engine.value("float32", one.dims, array));
        return [one.name, { ...one, arrays, values }];
      }),
    );
  }

  /** What a step reads and writes, by the names of its inputs and outputs: for each of the two buffers being current. */
  bindings(): { feeds: Record<string, Value>; results: Record<string, Value> }[] {
    return [0, 1].map((current) => {
      const feeds: Record<string, Value> = {};
      const results: Record<string, Value> = {};
      for (const { name, updated, values } of this.#slots.values()) {
        feeds[name] = values[current];
        results[updated] = values[1 - current];
      }
      return { feeds, results };
    });
  }

  get current(): 0 | 1 {
    return this.#current;
  }

  /** After a step: what it wrote is current now. */
  swap(): void {
    this.#current = this.#current === 0 ? 1 : 0;
  }

  /** The current values of a tensor; they change with the next step, or the next but one. */
  get(name: string): Float32Array {
    const held = this.#held.get(name);
    if (held !== undefined) return held.array;
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new TypeError(`there is no tensor "${name}" in the run's state`);
    return slot.arrays[this.#current];
  }

  /** A copy of all current values. */
  snapshot(): Map<string, Tensor> {
    return new Map(
      [...this.#slots.values(), ...this.#held.values()].map(({ name, dims }) => [
        name,
        tensor("float32", dims, this.get(name).slice()),
      ]),
    );
  }

  /** @throws InputError if the snapshot is not of the same tensors. */
  restore(snapshot: ReadonlyMap<string, Tensor>): void {
    for (const { name, dims } of [...this.#slots.values(), ...this.#held.values()]) {
      const saved = snapshot.get(name);
      if (saved?.dtype !== "float32" || saved.dims.join() !== dims.join()) {
        throw new InputError(
          `the checkpoint does not fit the run: it should hold "${name}" as float32 [${dims.join(", ")}], ` +
            (saved === undefined ? "but has none" : `but holds ${saved.dtype} [${saved.dims.join(", ")}]`),
        );
      }
      this.get(name).set((saved as Tensor<"float32">).array());
    }
  }
}

/**
 * The values that training begins with: the model's parameters and running statistics, and logits drawn at random or from magnitudes.
 *
 * Random logits go with training from scratch, where weights were initialised for a fan-in of n, and k of them will be
 * there: these weights are scaled by sqrt(n / k), which keeps the variance of the layer's outputs. Without it
 * LeNet-300-100 at 40 of 784 ends half a point worse.
 *
 * @param k of each layer at the first step.
 * @param units that each layer keeps, if that is given: then these have the largest logits.
 */
export function initialValues(
  model: Model,
  layers: readonly PrunedLayer[],
  k: readonly number[],
  init: NonNullable<SamplerOptions["init"]>,
  seed: number,
  units?: readonly Uint8Array[],
): Map<string, Float32Array> {
  const initial = new Map<string, Float32Array>();
  const parameter = (name: string): Float32Array =>
    (model.graph.initializers.get(name) as Tensor<"float32">).array();
  const { graph } = model;
  for (const name of [...trainable(graph), ...runningStatistics(graph)]) initial.set(name, parameter(name));
  for (const [i, layer] of layers.entries()) {
    if (init === "normal") {
      const gain = Math.sqrt(layer.n / k[i]);
      for (const { weight } of membersOf(layer)) {
        initial.set(
          weight,
          parameter(weight).map((value) => value * gain),
        );
      }
    }
    const logits =
      units !== undefined
        ? Float32Array.from(units[i])
        : init === "normal"
          ? normalLogits(layer, seed)
          : standardised(magnitudes(layer, parameter), layer.n);
    initial.set(logitsName(layer.weight), logits);
  }
  return initial;
}

function normalLogits(layer: PrunedLayer, seed: number): Float32Array {
  const random = new Random(seed, logitsName(layer.weight));
  const logits = new Float32Array(layer.groups * layer.n);
  for (let i = 0; i < logits.length; i++) logits[i] = LOGIT_DEVIATION * random.normal();
  return logits;
}

/** Shifts and scales each row of n to mean 0 and the deviation of freshly drawn logits, which keeps the order. */
function standardised(values: Float32Array, n: number): Float32Array {
  for (let first = 0; first < values.length; first += n) {
    const row = values.subarray(first, first + n);
    const mean = row.reduce((sum, value) => sum + value, 0) / n;
    const squares = row.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const factor = LOGIT_DEVIATION / (Math.sqrt(squares / n) || 1);
    for (let i = 0; i < n; i++) row[i] = (row[i] - mean) * factor;
  }
  return values;
}
