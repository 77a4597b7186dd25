/** Collects the operations of a plan, gives values their places and makes calls of operations. */

import { NetworkError } from "../errors.js";
import type { Call, Program } from "../execute.js";
import { type Constant, type Dims, type Graph, sizeOf } from "../graph/types.js";
import { Arena, type Memory } from "./memory.js";
import type { Choice, Operation } from "./operation.js";
import { Value, VECTOR } from "./value.js";

const MOST_CALLS = 2 ** 20;

/** A network can't be planned for several samples side by side. */
export class NotWide extends Error {}

/** A program, and the bytes of the values that it computes. */
export interface Planned extends Program {
  readonly arena: number;
}

export class Planner {
  readonly graph: Graph;
  readonly lanes: number;
  readonly #choices = new Map<string, () => Choice>();
  readonly #shapes: ReadonlyMap<string, Dims>;
  readonly #values = new Map<string, Value>();
  readonly #operations: Operation[] = [];
  readonly #masks = new Map<string, number>();

  /** @param lanes samples that run side by side; 1 for one sample alone. */
  constructor(graph: Graph, shapes: ReadonlyMap<string, Dims>, lanes: number) {
    this.graph = graph;
    this.lanes = lanes;
    this.#shapes = shapes;
  }

  dims(name: string): Dims {
    const dims = this.#shapes.get(name);
    if (dims === undefined) throw new NetworkError(`"${name}" is not computed by any node`);
    return dims;
  }

  constant(name: string): Constant | undefined {
    return this.graph.constants.get(name);
  }

  /** @throws NetworkError if it is a constant or not computed. */
  value(name: string): Value {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    if (this.graph.constants.has(name))
      throw new NetworkError(`"${name}" is a constant where a computed value is expected`);
    const value = new Value(name, this.dims(name), this.lanes);
    this.#values.set(name, value);
    return value;
  }

  /** Remembers which kernel a node gets: it is chosen once, when layouts are known. */
  choice(node: string, choose: () => Choice): () => Choice {
    let chosen: Choice | undefined;
    const once = (): Choice => (chosen ??= choose());
    this.#choices.set(node, once);
    return once;
  }

  /** Which kernel a node got; undefined if it is no layer. */
  choiceOf(node: string): Choice | undefined {
    return this.#choices.get(node)?.();
  }

  /** A further value, which no node of the graph makes. */
  temporary(name: string, dims: Dims): Value {
    return new Value(name, dims, 1);
  }

  add(operation: Operation): void {
    this.#operations.push(operation);
  }

  /** The address of a plane's mask: all bits set in cells of the value, none between its rows. */
  mask(memory: Memory, { height, width, row, vectors }: Value): number {
    const key = [height, width, row].join();
    const known = this.#masks.get(key);
    if (known !== undefined) return known;
    const address = memory.take(4 * VECTOR * vectors);
    for (let i = 0; i < height * row; i++) if (i % row < width) memory.words[address / 4 + i] = 0xffff_ffff;
    this.#masks.set(key, address);
    return address;
  }

  /** A mask where one is needed; 0 where every cell counts. */
  neededMask(memory: Memory, value: Value): number {
    const { isFlat, row, width, height, vectors } = value;
    const isWhole = row === width && (height * width) / VECTOR === vectors;
    return isFlat || isWhole ? 0 : this.mask(memory, value);
  }

  /**
   * Plans memory and writes tables.
   *
   * @throws NotWide if some steps can't be taken for several samples side by side.
   */
  build(memory: Memory): Planned {
    const input = this.value(this.graph.inputs[0].name);
    const output = this.value(this.graph.outputs[0].name);
    const [source, target] = [input, output].map((value) => this.#staged(value));
    const all = [
      ...(source === undefined ? [] : [this.#load(source, input)]),
      ...this.#operations,
      ...(target === undefined ? [] : [this.#unload(output, target)]),
    ];
    const isTogether = all.map((operation) => this.#isTogether(operation));
    if (this.lanes > 1 && !output.isWide) throw new NotWide();
    const operations = [false, true].flatMap((together) => all.filter((_, i) => isTogether[i] === together));
    const { arena, scratch } = place(memory, operations, [source ?? input], target ?? output);
    let total = 0;
    const calls = operations.map((operation, i) => {
      const own = isView(operation) ? [] : operation.emit(memory, scratch[i]);
      total += own.length;
      if (total > MOST_CALLS) throw new NetworkError("too many calls of kernels");
      return own;
    });
    const first = isTogether.filter((together) => !together).length;
    return {
      arena,
      inputSize: sizeOf(input.dims),
      outputSize: sizeOf(output.dims),
      input: (source ?? input).address,
      isWideInput: input.isWide,
      output: (target ?? output).address,
      each: calls.slice(0, first).flat(),
      together: calls.slice(first).flat(),
    };
  }

  /** Whether an operation is taken once for all lanes. */
  #isTogether({ inputs, output, fillsLane }: Operation): boolean {
    const wide = inputs.filter((value) => value.isWide).length;
    if (wide > 0) {
      const isFit = wide === inputs.length && (output.isWide || output.name === STAGED);
      if (!isFit) throw new NotWide();
      return true;
    }
    if (output.isWide && inputs[0]?.name === STAGED) return true;
    if (output.isWide && fillsLane === undefined) throw new NotWide();
    return false;
  }

  /** A place for samples as the caller has them, if those of the value lie otherwise. */
  #staged(value: Value): Value | undefined {
    if (value.isWide) return this.temporary(STAGED, [this.lanes, 1, sizeOf(value.dims)]);
    return value.isCompact ? undefined : this.temporary(STAGED, [1, sizeOf(value.dims)]);
  }

  #load(from: Value, to: Value): Operation {
    return { inputs: [from], output: to, emit: () => [this.#move(from, to, true)] };
  }

  #unload(from: Value, to: Value): Operation {
    return { inputs: [from], output: to, emit: () => [this.#move(from, to, false)] };
  }

  /** Copies between a value and one that lies sample by sample. */
  #move({ address: from }: Value, { address: to }: Value, isLoad: boolean): Call {
    const value = this.value(isLoad ? this.graph.inputs[0].name : this.graph.outputs[0].name);
    const { planes, height, width } = value;
    const [plane, row, cell] = value.steps;
    const lying = [4 * plane, 4 * row, 4 * cell] as const;
    const staged = value.isWide
      ? ([4, 4, 4 * planes] as const)
      : ([4 * height * width, 4 * width, 4] as const);
    const [s, t] = isLoad ? [staged, lying] : [lying, staged];
    return { kernel: "copy", args: [from, to, 1, planes, height, width, 0, ...s, 0, ...t] };
  }
}

/** Name of the values that callers write and read. */
const STAGED = "";

const isView = ({ isView: isMove, inputs, output }: Operation): boolean =>
  isMove === true && inputs[0].isCompact && output.isCompact && inputs[0].isWide === output.isWide;

/** Gives all values their addresses: each part of memory is used again when its last value is read no more. */
function place(
  memory: Memory,
  operations: readonly Operation[],
  inputs: readonly Value[],
  output: Value,
): { arena: number; scratch: number[] } {
  const owners = new Map<Value, Value>();
  const ownerOf = (value: Value): Value => owners.get(value) ?? value;
  for (const operation of operations) {
    if (isView(operation)) owners.set(operation.output, ownerOf(operation.inputs[0]));
  }
  const last = new Map<Value, number>();
  operations.forEach((operation, i) => {
    for (const value of [...operation.inputs, operation.output]) last.set(ownerOf(value), i);
  });
  last.set(ownerOf(output), operations.length);
  const arena = new Arena();
  const slots = new Map<Value, ReturnType<Arena["lend"]>>();
  const lend = (value: Value): void => {
    const owner = ownerOf(value);
    if (!slots.has(owner)) slots.set(owner, arena.lend(owner.layout, owner.cells));
  };
  inputs.forEach(lend);
  const scratch = operations.map((operation, i) => {
    lend(operation.output);
    const cells = operation.scratch?.() ?? 0;
    const used = cells > 0 ? arena.lend("flat", cells) : undefined;
    if (used !== undefined) arena.giveBack(used);
    for (const value of new Set([...operation.inputs, operation.output].map(ownerOf))) {
      const slot = slots.get(value);
      if (last.get(value) === i && slot !== undefined) arena.giveBack(slot);
    }
    return used;
  });
  const bytes = arena.place(memory);
  for (const operation of operations) {
    for (const value of [...operation.inputs, operation.output]) {
      const slot = slots.get(ownerOf(value));
      value.address = (slot?.address ?? 0) + 4 * value.front;
    }
  }
  for (const value of inputs) value.address = (slots.get(ownerOf(value))?.address ?? 0) + 4 * value.front;
  return { arena: bytes, scratch: scratch.map((slot) => slot?.address ?? 0) };
}
