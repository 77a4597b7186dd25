/**
 * Computes a program on the host, operation by operation in the order and the types of the C code: its definition. Sums are int32
 * or float32, and every float32 operation is rounded before the next.
 */

import { InputError, KofnError } from "../errors.js";
import { activated, codeRange } from "./activation.js";
import { clamped, codeOf, type Codes, dequantized, quantized } from "./codes.js";
import {
  inputsOf,
  type Linear,
  type Pool,
  type Program,
  type Step,
  type Value,
  type Window,
} from "./program.js";
import { forEachKept, longestRow } from "./rows.js";

const { fround } = Math;

/** The elements of a value. */
export type Elements = Float32Array | Uint8Array | Int8Array;

/**
 * The output for one sample.
 *
 * @param visit is called with each step and what it has made.
 * @throws InputError if the input has another size.
 * @example
 * runProgram(program, new Float32Array(784)); // Float32Array of 10 logits
 */
export function runProgram(
  program: Program,
  input: Float32Array,
  visit?: (step: Step, read: readonly Elements[], made: Elements) => void,
): Float32Array {
  if (input.length !== program.input.size) {
    throw new InputError(`expected an input of ${program.input.size} numbers, got ${input.length}.`);
  }
  const values = new Map<Value, Elements>([[program.input, input]]);
  const elements = (value: Value): Elements => {
    const found = values.get(value);
    if (found === undefined) throw new KofnError(`the value "${value.name}" is read before it is made`);
    return found;
  };
  for (const step of program.steps) {
    const read = inputsOf(step).map(elements);
    const made = runStep(step, read);
    values.set(step.output, made);
    visit?.(step, read, made);
  }
  return elements(program.output) as Float32Array;
}

/** What a step makes of what it reads. */
export function runStep(step: Step, read: readonly Elements[]): Elements {
  const made = empty(step.output);
  compute(step, read, made);
  return made;
}

function empty({ size, codes }: Value): Elements {
  if (codes === undefined) return new Float32Array(size);
  return codes.type === "uint8" ? new Uint8Array(size) : new Int8Array(size);
}

function compute(step: Step, read: readonly Elements[], made: Elements): void {
  switch (step.op) {
    case "linear":
      linear(step, read[0], made);
      return;
    case "pool":
      if (step.kind === "max") maxPool(step, read[0], made);
      else averagePool(step, read[0], made);
      return;
    case "sum": {
      const finish = finisher(step.output.codes, step.activation);
      const { codes } = step.output;
      const { multipliers, shift = 0 } = step;
      for (let i = 0; i < made.length; i++) {
        if (multipliers === undefined || codes === undefined) {
          made[i] = finish(read.length === 1 ? read[0][i] : fround(read[0][i] + read[1][i]));
          continue;
        }
        let sum = 0;
        step.inputs.forEach(
          (input, at) => (sum += (read[at][i] - (input.codes?.zero ?? 0)) * multipliers[at]),
        );
        made[i] = clamped(
          ((sum + 2 ** (shift - 1)) >> shift) + codes.zero,
          ...codeRange(step.activation, codes),
        );
      }
      return;
    }
    case "map": {
      const { codes } = step.input;
      const finish = finisher(step.output.codes, step.activation);
      if (codes === undefined) read[0].forEach((value, i) => (made[i] = finish(value)));
      else if (step.output.codes === undefined) {
        read[0].forEach((code, i) => (made[i] = finish(dequantized(code, codes))));
      } else {
        const [low, high] = codeRange(step.activation, codes);
        read[0].forEach((code, i) => (made[i] = clamped(code, low, high)));
      }
      return;
    }
    case "concat": {
      let at = 0;
      for (const part of read) {
        made.set(part, at);
        at += part.length;
      }
    }
  }
}

/** Brings a float32 result to what is stored. */
function finisher(codes: Codes | undefined, activation: Linear["activation"]): (value: number) => number {
  if (codes === undefined) return (value) => activated(value, activation);
  return (value) => quantized(activated(value, activation), codes);
}

/** The place in a plane that a cell of the kernel lies on; -1 in the padding. */
function placeIn(window: Window, y: number, x: number, cell: number): number {
  const cellY = Math.floor(cell / window.kernelWidth);
  const atY = y * window.strideY - window.padY + cellY * window.dilationY;
  const atX = x * window.strideX - window.padX + (cell - cellY * window.kernelWidth) * window.dilationX;
  const isInside = atY >= 0 && atX >= 0 && atY < window.height && atX < window.width;
  return isInside ? atY * window.width + atX : -1;
}

function linear(step: Linear, input: Elements, made: Elements): void {
  const { window, weights, bias, scale, rescaling, activation, rowsPerGroup } = step;
  const { values } = weights;
  const { outHeight, outWidth } = window;
  const cells = window.kernelHeight * window.kernelWidth;
  const plane = window.height * window.width;
  const codes = step.input.codes;
  const output = step.output.codes;
  const finish = finisher(output, activation);
  const isInteger = codes !== undefined;
  const zero = codes?.zero ?? 0;
  const range = output === undefined ? undefined : codeRange(activation, output);
  const length = longestRow(weights);
  const [channelAt, tapY, tapX, kept] = [0, 1, 2, 3].map(() => new Int32Array(length));
  for (let row = 0; row < weights.rows; row++) {
    let count = 0;
    const base = Math.floor(row / rowsPerGroup) * window.channels * plane;
    forEachKept(weights, row, (position, at) => {
      const channel = Math.floor(position / cells);
      const cell = position - channel * cells;
      const cellY = Math.floor(cell / window.kernelWidth);
      channelAt[count] = base + channel * plane;
      tapY[count] = cellY * window.dilationY;
      tapX[count] = (cell - cellY * window.kernelWidth) * window.dilationX;
      kept[count++] = at;
    });
    for (let y = 0, at = row * outHeight * outWidth; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x++, at++) {
        let sum = isInteger ? (bias?.[row] ?? 0) : 0;
        for (let i = 0; i < count; i++) {
          const atY = y * window.strideY - window.padY + tapY[i];
          const atX = x * window.strideX - window.padX + tapX[i];
          if (atY < 0 || atX < 0 || atY >= window.height || atX >= window.width) continue;
          const read = input[channelAt[i] + atY * window.width + atX];
          if (isInteger) sum += values[kept[i]] * (read - zero);
          else sum = fround(sum + fround(values[kept[i]] * read));
        }
        if (output !== undefined && range !== undefined && rescaling !== undefined) {
          const factor = { multiplier: rescaling.multipliers[row], shift: rescaling.shifts[row] };
          made[at] = clamped(codeOf(sum, factor, output), ...range);
          continue;
        }
        if (scale !== undefined) sum = fround(fround(sum) * scale[row]);
        if (!isInteger && bias !== undefined) sum = fround(sum + bias[row]);
        made[at] = finish(sum);
      }
    }
  }
}

/** Calls `visit` with the index of each output and those of the inputs under its window, which is not empty. */
function forEachWindow(window: Window, visit: (output: number, inputs: readonly number[]) => void): void {
  const { channels, height, width, outHeight, outWidth, kernelHeight, kernelWidth } = window;
  for (let channel = 0, output = 0; channel < channels; channel++) {
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x++, output++) {
        const inputs: number[] = [];
        for (let cell = 0; cell < kernelHeight * kernelWidth; cell++) {
          const place = placeIn(window, y, x, cell);
          if (place >= 0) inputs.push(channel * height * width + place);
        }
        visit(output, inputs);
      }
    }
  }
}

function maxPool({ window }: Pool, input: Elements, made: Elements): void {
  forEachWindow(window, (output, inputs) => {
    let largest = input[inputs[0]];
    for (const at of inputs) if (input[at] > largest) largest = input[at];
    made[output] = largest;
  });
}

function averagePool(step: Pool, input: Elements, made: Elements): void {
  const { window, countsPadding, rescaling, scale } = step;
  const codes = step.input.codes;
  const output = step.output.codes;
  const cells = window.kernelHeight * window.kernelWidth;
  forEachWindow(window, (at, inputs) => {
    let sum = 0;
    if (codes === undefined) {
      for (const i of inputs) sum = fround(sum + input[i]);
      const mean = fround(sum / (countsPadding ? cells : inputs.length));
      made[at] = output === undefined ? mean : quantized(mean, output);
      return;
    }
    for (const i of inputs) sum += input[i] - codes.zero;
    if (output !== undefined && rescaling !== undefined) {
      const factor = { multiplier: rescaling.multipliers[0], shift: rescaling.shifts[0] };
      made[at] = codeOf(sum, factor, output);
    } else {
      made[at] = fround(fround(sum) * (scale ?? 1));
    }
  });
}
