/** Refuses, before anything is rewritten, what kofn can't import: each node or tensor is named with the reason. */

import { InputError } from "../errors.js";
import type { DataType } from "../onnx/dtype.js";
import { getInt, type Graph, type Model, type Node } from "../onnx/model.js";
import { isKnown } from "../onnx/ops.js";
import type { Tensor } from "../onnx/tensor.js";
import { reportProblems } from "./node.js";
import { isRenamed } from "./upgrade.js";

/** Floating-point types in which kofn does not train. */
const OTHER_FLOATS: ReadonlySet<DataType> = new Set<DataType>([
  "float16",
  "bfloat16",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "float4e2m1",
]);

/** @throws InputError naming everything that can't be imported, up to ten nodes. */
export function checkImportable({ graph }: Model): void {
  const problems = graph.nodes.flatMap((node) => {
    const reason = reasonAgainst(node, graph);
    return reason === undefined ? [] : [{ node, reason }];
  });
  reportProblems(
    `model "${graph.name}": kofn can't import`,
    problems,
    "Export the model again without them.",
  );
  const narrow = [...graph.initializers].filter(([, { dtype }]) => OTHER_FLOATS.has(dtype));
  if (narrow.length === 0) return;
  const named = narrow.slice(0, 3).map(([name, { dtype }]) => `"${name}" is ${dtype}`);
  const more =
    narrow.length > named.length ? `, and ${narrow.length - named.length} more are no float32` : "";
  throw new InputError(
    `model "${graph.name}": kofn trains weights of type float32, but ${named.join(", ")}${more}; export the model in float32`,
  );
}

function reasonAgainst(node: Node, graph: Graph): string | undefined {
  if (!isKnown(node) && !(node.domain === "" && isRenamed(node.op))) return whyUnknown(node, graph);
  if (node.op === "BatchNormalization" && getInt(node, "training_mode", 0) !== 0) return IN_TRAINING;
  if (node.op === "Dropout" && node.inputs.length > 2 && node.inputs[2] !== "") {
    const mode = constantIn(graph, node.inputs[2]);
    if (mode === undefined) return `its training mode "${node.inputs[2]}" is not known before it runs`;
  }
  return undefined;
}

const IN_TRAINING = "it is in training mode; export the model in evaluation mode";

function whyUnknown(node: Node, graph: Graph): string {
  if (/^(Q|Deq)uantizeLinear$|^QLinear/.test(node.op)) {
    const weights = node.inputs.filter((name) => (graph.initializers.get(name)?.size ?? 0) > 1);
    const named = weights.length === 0 ? "" : ` (${weights.map((name) => `"${name}"`).join(", ")})`;
    return `its numbers${named} are quantized, and kofn trains float32; take the model from before it was quantized`;
  }
  const domain = node.domain === "" ? "" : ` of domain "${node.domain}"`;
  return `kofn does not know this operator${domain}`;
}

function constantIn(graph: Graph, name: string): Tensor | undefined {
  const stored = graph.initializers.get(name);
  if (stored !== undefined) return stored;
  const value = graph.nodes.find(({ outputs }) => outputs.includes(name))?.attributes.get("value");
  return value?.kind === "tensor" ? value.value : undefined;
}
