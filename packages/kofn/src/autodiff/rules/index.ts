/** Gradients of operators that read or write by index. */

import { InputError } from "../../errors.js";
import { tupleOffsets } from "../../onnx/evaluate/rearrange.js";
import { indexMap, steps } from "../../onnx/evaluate/support.js";
import { getInt, getString, int } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import type { RuleContext } from "../rule.js";
import { axisOf } from "./reduce.js";
import { floatType } from "./shape.js";

type Grads = (string | undefined)[];

// Each element's gradient is added where it was read.
export function gather({ b, node, inputs: [x, indices], dY, gradName }: RuleContext): Grads {
  const dims = b.shape(x);
  const axis = axisOf(getInt(node, "axis", 0), dims.length);
  const chosen = b.graph.initializers.get(indices);
  if (chosen?.size === 1) {
    const place = axisOf(chosen.numbers()[0], dims[axis]);
    const pads = [...dims.map(() => 0), ...dims.map(() => 0)];
    [pads[axis], pads[dims.length + axis]] = [place, dims[axis] - 1 - place];
    return [b.op("Pad", [b.reshape(dY, dims.with(axis, 1)), b.vector(pads)], {}, gradName(0)), undefined];
  }
  const picked = b.shape(indices);
  const count = picked.reduce((product, dim) => product * dim, 1);
  const merged = [...dims.slice(0, axis), count, ...dims.slice(axis + 1)];
  const along = merged.map((_, i) => (i === axis ? count : 1));
  const where = b.expand(b.reshape(indices, along), merged);
  const zeros = b.fill(0, floatType(b.dtype(x)), dims);
  const attributes = { axis: int(axis), reduction: { kind: "string", value: ADD } } as const;
  return [b.op("ScatterElements", [zeros, where, b.reshape(dY, merged)], attributes, gradName(0)), undefined];
}

export function gatherElements({ b, node, inputs: [x, indices], dY, gradName }: RuleContext): Grads {
  const zeros = b.fill(0, floatType(b.dtype(x)), b.shape(x));
  const attributes = {
    axis: int(getInt(node, "axis", 0)),
    reduction: { kind: "string", value: ADD },
  } as const;
  return [b.op("ScatterElements", [zeros, indices, dY], attributes, gradName(0)), undefined];
}

// The elements are read by tuples of known indices, so that each one's place is known.
export function gatherND({ b, node, inputs: [x, indices], dY, gradName }: RuleContext): Grads {
  const chosen = b.graph.initializers.get(indices);
  if (chosen === undefined) {
    throw new InputError(
      `node "${node.name}" (GatherND): kofn can train through it only if "${indices}" is a constant, but it is computed`,
    );
  }
  const dims = b.shape(x);
  const size = sizeOf(dims.slice(getInt(node, "batch_dims", 0) + chosen.dims[chosen.dims.length - 1]));
  const places = indexMap([tupleOffsets(node, dims, chosen), steps(size, 1)]);
  const zeros = b.fill(0, floatType(b.dtype(x)), [sizeOf(dims)]);
  const where = b.constant("int64", [places.length], [...places]);
  const attributes = { axis: int(0), reduction: { kind: "string", value: ADD } } as const;
  const added = b.op("ScatterElements", [zeros, where, b.reshape(dY, [places.length])], attributes);
  return [b.reshape(added, dims, gradName(0)), undefined];
}

// y = data with updates written (or added) at the indices
export function scatterElements({ b, node, inputs, dY, wants, gradName }: RuleContext): Grads {
  const [, indices, updates] = inputs;
  const reduction = getString(node, "reduction", "none");
  if (reduction !== "none" && reduction !== "add") {
    throw new InputError(
      `node "${node.name}" (ScatterElements): kofn has gradients of the reductions "none" and "add", got "${reduction}"`,
    );
  }
  const axis = int(getInt(node, "axis", 0));
  const dData = (): string => {
    if (reduction === "add") return dY;
    const zeros = b.fill(0, floatType(b.dtype(updates)), b.shape(updates));
    return b.op("ScatterElements", [dY, indices, zeros], { axis }, gradName(0));
  };
  return [
    wants(0) ? dData() : undefined,
    undefined,
    wants(2) ? b.op("GatherElements", [dY, indices], { axis }, gradName(2)) : undefined,
  ];
}

// The values' gradients go back to where the values were found.
export function topK({ b, node, inputs: [x], outputs: [, indices], dOutputs, gradName }: RuleContext): Grads {
  const [dValues] = dOutputs;
  if (dValues === undefined) return [undefined];
  const zeros = b.fill(0, floatType(b.dtype(x)), b.shape(x));
  const axis = int(getInt(node, "axis", -1));
  return [b.op("ScatterElements", [zeros, indices, dValues], { axis }, gradName(0)), undefined];
}

const ADD = new TextEncoder().encode("add");
