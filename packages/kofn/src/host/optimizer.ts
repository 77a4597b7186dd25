/** The optimizer's update on the host: one pass over all parameters, by the WebAssembly kernel (assembly/optimizer.ts). */

import { sizeOf } from "../onnx/tensor.js";
import type { Optimizer, UpdateScalars } from "../optim/optimizer.js";
import type { Kernel } from "./kernel.js";
import { Learner } from "./learner.js";
import { kernelFor } from "./memory.js";

/** A parameter that is to be trained. */
export interface HostParameter {
  readonly name: string;
  readonly dims: readonly number[];
  /** Whether weight decay applies to it. */
  readonly decays: boolean;
}

/** A parameter's arrays. */
export interface HostArrays {
  readonly values: Float32Array<ArrayBuffer>;
  /** The optimizer's state tensors by their names. */
  readonly states: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** What {@link HostOptimizer.update} reads. */
  readonly gradient: Float32Array<ArrayBuffer>;
}

/** Parameters that decay alike lie one behind the other, in regions of values, gradients and states. */
interface Region {
  readonly decays: boolean;
  readonly count: number;
  readonly gradients: number;
  readonly learner: Learner;
}

/** Elements to which a parameter's arrays are filled up: vectors of 64 bytes. */
const ALIGNMENT = 16;

/**
 * Holds parameters, gradients and states, and updates all at once, as the optimizer's graph would one by one.
 *
 * @example
 * const host = new HostOptimizer(optimizer, [{ name: "fc.weight", dims: [10, 100], decays: true }]);
 * host.arrays.get("fc.weight")?.gradient.set(gradient);
 * host.update(optimizer.scalars(1, 0.001));
 */
export class HostOptimizer {
  readonly arrays: ReadonlyMap<string, HostArrays>;
  /** The kernel in whose memory the arrays lie. */
  readonly kernel: Kernel;
  /** The address of memory there that is left to others. */
  readonly spare: number;
  readonly #regions: readonly Region[];

  /** @param spare bytes that are left to others */
  constructor(optimizer: Optimizer, parameters: readonly HostParameter[], spare = 0) {
    const filled = ({ dims }: HostParameter): number => Math.ceil(sizeOf(dims) / ALIGNMENT) * ALIGNMENT;
    const parts = [true, false].map((decays) => parameters.filter((one) => one.decays === decays));
    const counts = parts.map((own) => own.reduce((sum, one) => sum + filled(one), 0));
    const names = ["values", "gradients", ...optimizer.state];
    const bytes = counts.flatMap((count) => [Learner.bytes, ...names.map(() => 4 * count)]);
    const { kernel, begins } = kernelFor([...bytes, spare]);
    const { buffer } = kernel.memory;
    const arrays = new Map<string, HostArrays>();
    this.#regions = counts.map((count, i) => {
      const [at, values, gradients, ...others] = begins.slice(i * (1 + names.length));
      const states = new Map(optimizer.state.map((name, j) => [name, others[j]]));
      let offset = 0;
      for (const parameter of parts[i]) {
        const from = offset;
        const array = (begin: number): Float32Array<ArrayBuffer> =>
          new Float32Array(buffer, begin + from, sizeOf(parameter.dims));
        arrays.set(parameter.name, {
          values: array(values),
          gradient: array(gradients),
          states: new Map([...states].map(([name, begin]) => [name, array(begin)])),
        });
        offset += 4 * filled(parameter);
      }
      return {
        decays: i === 0,
        count,
        gradients,
        learner: new Learner(kernel, at, optimizer, { values, states }),
      };
    });
    this.kernel = kernel;
    this.spare = begins[begins.length - 1];
    this.arrays = arrays;
  }

  /** @param scalars what the optimizer's `scalars` gave for this step */
  update(scalars: UpdateScalars): void {
    for (const { decays, count, gradients, learner } of this.#regions) {
      learner.set(scalars, decays);
      this.kernel.learn(learner.address, gradients, 0, count);
    }
  }
}
