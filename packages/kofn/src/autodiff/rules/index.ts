/** Gradients of operators that read or write by index. */

import { InputError } from "../../errors.js";
import { getInt, getString, int } from "../../onnx/model.js";
import type { RuleContext } from "../rule.js";
import { axisOf } from "./reduce.js";
import { floatType } from "./shape.js";

type Grads = (string | undefined)[];

// Each element's gradient is added where it was read.
export function gather({ b, node, inputs: [x, indices], dY, gradName }: RuleContext): Grads {
  const dims = b.shape(x);
  const axis = axisOf(getInt(node, "axis", 0), dims.length);
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
