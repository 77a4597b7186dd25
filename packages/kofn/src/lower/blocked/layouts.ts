/** Which values of a graph exist in the blocked layout, which in the plain one, and how one becomes the other. */

import type { Attributes, Builder } from "../../onnx/builder.js";
import type { DataType } from "../../onnx/dtype.js";
import { inferNode } from "../../onnx/infer/node.js";
import { int, ints, type Node } from "../../onnx/model.js";

/** The domain of onnxruntime's operators on blocked tensors. */
export const BLOCKED_DOMAIN = "com.microsoft.nchwc";

/**
 * The values of a graph that is being lowered, in two layouts: plain [N, C, H, W], and blocked, in which the channels are
 * cut into blocks of `block` and those of a block lie together: memory is [N, C / block, H, W, block], while the
 * dimensions that onnxruntime keeps are still [N, C, H, W]. A value may exist in both; each is made when it is first asked
 * for.
 */
export class Layouts {
  readonly b: Builder;
  readonly block: number;
  /** The blocked forms by the names of the plain ones. */
  readonly #blocked = new Map<string, string>();
  /** Values whose plain form nobody has asked for yet. */
  readonly #pending = new Set<string>();
  readonly #centred = new Map<string, string>();

  constructor(b: Builder, block: number) {
    this.b = b;
    this.block = block;
  }

  /** Whether the value's shape allows the blocked layout. */
  fits(value: string): boolean {
    const { dtype, shape } = this.b.type(this.#blocked.get(value) ?? value);
    if (dtype !== "float32" || shape?.length !== 4) return false;
    const channels = shape[1];
    return typeof channels === "number" && channels % this.block === 0;
  }

  isBlocked(value: string): boolean {
    return this.#blocked.has(value);
  }

  dtype(value: string): DataType {
    return this.b.dtype(this.#blocked.get(value) ?? value);
  }

  shape(value: string): readonly number[] {
    return this.b.shape(this.#blocked.get(value) ?? value);
  }

  /** The shape of the node's first output. */
  inferred(node: Node): readonly number[] {
    const types = node.inputs.map((name) =>
      name === "" ? undefined : this.b.type(this.#blocked.get(name) ?? name),
    );
    const constants = node.inputs.map((name) => this.b.graph.initializers.get(name));
    const [{ shape }] = inferNode(node, types, constants);
    return (shape ?? []).map(Number);
  }

  /** The name of the value in the blocked layout. */
  blocked(value: string): string {
    let name = this.#blocked.get(value);
    if (name === undefined) {
      name = this.op("ReorderInput", [value], {}, this.b.shape(value), `${value}/blocked`);
      this.#blocked.set(value, name);
    }
    return name;
  }

  /** The value in the blocked layout, with channels of zeros where its own do not fill the last block. */
  filledUp(value: string): string {
    if (this.fits(value)) return this.blocked(value);
    const [batch, channels, ...size] = this.shape(value);
    const missing = (multiple: number): number => Math.ceil(channels / multiple) * multiple - channels;
    // ReorderInput adds zeros, but takes multiples of 4 alone.
    const some = missing(4);
    const read = some === 0 ? value : this.b.op("Pad", [value, this.b.vector([0, 0, 0, 0, 0, some, 0, 0])]);
    return this.op("ReorderInput", [read], {}, [batch, channels + missing(this.block), ...size]);
  }

  /** Sees to it that the value exists in the plain layout. */
  plain(value: string): void {
    if (!this.#pending.delete(value)) return;
    const blocked = this.blocked(value);
    this.b.release(value);
    this.unblocked(blocked, value);
  }

  /** A blocked tensor in the plain layout. */
  unblocked(blocked: string, name?: string): string {
    const shape = this.b.shape(blocked);
    return this.op("ReorderOutput", [blocked], { channels: int(shape[1]) }, shape, name);
  }

  /** The value less its channels' means, blocked. The same for every caller, as the mean of a value is one. */
  centred(value: string, mean: string): string {
    const key = JSON.stringify([value, mean]);
    let name = this.#centred.get(key);
    if (name === undefined) {
      const blocked = this.blocked(value);
      const shape = this.b.shape(blocked);
      const ones = this.b.fill(1, "float32", [shape[1], 1, 1, 1], "ones");
      const attributes = { kernel_shape: ints([1, 1]), group: int(shape[1]) };
      const inputs = [blocked, ones, this.b.neg(mean)];
      name = this.op("Conv", inputs, attributes, shape, `${value}/centred`);
      this.#centred.set(key, name);
    }
    return name;
  }

  /** The value exists from now on, in the blocked layout, under another name. */
  define(value: string, blocked: string): void {
    this.#blocked.set(value, blocked);
    this.#pending.add(value);
  }

  /** Appends one of onnxruntime's operators on blocked tensors. */
  op(
    op: string,
    inputs: readonly string[],
    attributes: Attributes,
    shape: readonly number[],
    name?: string,
  ): string {
    return this.b.foreign(BLOCKED_DOMAIN, op, inputs, attributes, { dtype: "float32", shape }, name);
  }
}
