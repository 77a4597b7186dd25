/** Follows channels through a graph: which channels of which tensors are kept or removed together, and which can't be. */

import { inferGraph } from "../../onnx/infer.js";
import type { Graph, ValueInfo } from "../../onnx/model.js";
import { foldConstants } from "../../onnx/passes.js";
import { CHANNEL_RULES } from "./rules.js";
import { type Trace, Tracer } from "./trace.js";

/** The batch for which shapes are computed, where the model leaves it open. Any size above 1 would do. */
const BATCH = 2;

/**
 * Follows channels through a graph in operator set 21.
 *
 * A channel is an index along an axis that a convolution or matrix makes. Elementwise operators, normalisation, pooling and
 * changes of layout pass channels on; sums couple them; a convolution or a matrix ends them and makes new ones. What
 * can't be followed freezes the channels that reach it, with the reason.
 *
 * @throws InputError if the graph's shapes can't be inferred, or depend on more than the batch.
 */
export function traceChannels(graph: Graph): Trace {
  const source = folded(graph);
  const tracer = new Tracer(source, atBatch(source));
  walk(tracer);
  return tracer;
}

/** The graph with Constant nodes, and what follows from constants other than parameters, as initializers. */
function folded(graph: Graph): Graph {
  const copy = { ...graph, nodes: [...graph.nodes], initializers: new Map(graph.initializers) };
  copy.valueTypes = inferGraph({ ...copy, valueTypes: new Map() });
  const parameters = [...copy.initializers]
    .filter(([, { dtype, dims }]) => dtype === "float32" && dims.length > 0)
    .map(([name, { dtype, dims }]): ValueInfo => ({ name, type: { dtype, shape: dims } }));
  const inputs = copy.inputs;
  // What is an input is not folded: parameters keep their names.
  copy.inputs = [...inputs, ...parameters];
  foldConstants(copy);
  return { ...copy, inputs };
}

function atBatch(source: Graph): Graph {
  const inputs = source.inputs
    .filter(({ name }) => !source.initializers.has(name))
    .map(({ name, type }): ValueInfo => {
      const shape = type?.shape?.map((dim, axis) => (axis === 0 && typeof dim !== "number" ? BATCH : dim));
      return { name, type: type === undefined ? undefined : { dtype: type.dtype, shape } };
    });
  return folded({ ...source, inputs, valueTypes: new Map() });
}

/** Goes through the graph from its inputs to its outputs, by the rule of each node's operator. */
function walk(tracer: Tracer): void {
  const { graph } = tracer;
  for (const { name } of graph.inputs) {
    const [, channels, ...rest] = tracer.dims(name);
    if (graph.initializers.has(name) || tracer.dims(name).length < 2) continue;
    const labels = tracer.frozen(channels, "they are the model's input");
    tracer.set(name, [undefined, labels, ...rest.map(() => undefined)]);
  }
  for (const node of graph.nodes) {
    if (node.op === "Identity" && tracer.parameter(node.inputs[0]) !== undefined) {
      tracer.alias(node.outputs[0], node.inputs[0]);
    } else if (node.domain === "" && Object.hasOwn(CHANNEL_RULES, node.op)) {
      CHANNEL_RULES[node.op](tracer, node);
    } else {
      tracer.refuse(node, "is not an operator through which kofn follows channels");
    }
  }
  for (const { name } of graph.outputs) {
    for (const labels of tracer.layout(name)) {
      if (labels !== undefined) tracer.sets.freeze(labels, "they are the model's outputs");
    }
  }
}
