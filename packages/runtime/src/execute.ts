/** Carries out a plan: the calls of kernels that are left of a network. It is all that threads have of the runtime. */

import type { Kernels } from "./wasm.generated.js";

type Name = Exclude<keyof Kernels, "memory" | "base">;

/** A call of one of the kernels. */
interface CallOf<K extends Name> {
  readonly kernel: K;
  readonly args: Readonly<Parameters<Kernels[K]>>;
  /** Which argument counts samples that run together, and by how much it grows from one to the next. */
  readonly lane?: readonly [index: number, step: number];
}

/** A call of a kernel. */
export type Call = { [K in Name]: CallOf<K> }[Name];

/** What a planned network consists of. */
export interface Program {
  /** Numbers of a sample and of its result. */
  readonly inputSize: number;
  readonly outputSize: number;
  /** Where samples are put: one, or as many as there are lanes if `isWideInput`. */
  readonly input: number;
  readonly isWideInput: boolean;
  /** Where results lie, one sample after the other. */
  readonly output: number;
  /** Calls for each sample. */
  readonly each: readonly Call[];
  /** Calls after that, for all samples that run together. */
  readonly together: readonly Call[];
}

/** Computes the results of samples that run together, `count` of them from the one numbered `first`. */
export type Runner = (input: Float32Array, results: Float32Array, first: number, count: number) => void;

export function runnerOf(kernels: Kernels, program: Program): Runner {
  const { inputSize, outputSize, isWideInput } = program;
  const [each, together] = [program.each, program.together].map((calls) =>
    calls.map((call) => stepOf(kernels, call)),
  );
  return (input, results, first, count) => {
    const floats = new Float32Array(kernels.memory.buffer);
    const put = (from: number, end: number): void => {
      floats.set(input.subarray(from * inputSize, end * inputSize), program.input / 4);
    };
    if (isWideInput) put(first, first + count);
    for (let lane = 0; lane < count; lane++) {
      if (!isWideInput) put(first + lane, first + lane + 1);
      for (const step of each) step(lane);
    }
    for (const step of together) step(0);
    const begin = program.output / 4;
    results.set(floats.subarray(begin, begin + count * outputSize), first * outputSize);
  };
}

type Step = (lane: number) => void;

function stepOf(kernels: Kernels, { kernel, args, lane }: Call): Step {
  const run: (...args: readonly number[]) => void = kernels[kernel];
  if (lane !== undefined) {
    const [index, step] = lane;
    const own: number[] = [...args];
    return (n) => {
      own[index] = args[index] + step * n;
      run(...own);
    };
  }
  if (args.length === 8) {
    // Fully connected layers, where half the time of a bound call counts.
    const [a, b, c, d, e, f, g, h] = args;
    return () => {
      run(a, b, c, d, e, f, g, h);
    };
  }
  return run.bind(undefined, ...args);
}
