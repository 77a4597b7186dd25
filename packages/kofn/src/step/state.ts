/** The tensors that a training run changes from step to step: parameters, mask logits, and the states of their optimizers. */

import type { Engine, Value } from "../engine/session.js";
import { InputError } from "../errors.js";
import { sizeOf, type Tensor, tensor } from "../onnx/tensor.js";
import type { StepTensor } from "./graph.js";

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
