/** Imports ONNX models as exporters write them: any operator set from 9 to 21 becomes the one that kofn computes in. */

import { InputError } from "../errors.js";
import { IR_VERSION, type Graph, type Model, OPSET, type ValueInfo } from "../onnx/model.js";
import { removeDeadCode } from "../onnx/passes.js";
import { checkImportable } from "./check.js";
import { nameNodes } from "./names.js";
import { dropOutputIdentities } from "./outputs.js";
import { BATCH } from "./reshape.js";
import { rewrite, type RewriteOptions, type Rewritten } from "./rewrite.js";

/** The oldest operator set that is imported; the newest is {@link OPSET}. */
const OLDEST_OPSET = 9;

/**
 * Brings a model to operator set 21, with the meaning of every operator preserved, and to the form in which kofn trains
 * and prunes: constants and what follows from them are initializers, none of which is an input; reshapes take any
 * batch; automatic padding is written out, and padding that no window of ceil_mode reaches is left out; Identity and Dropout
 * are gone ({@link dropoutsOf} says where training has it); every node has a name of its own.
 *
 * A first input dimension that is a number (a model exported for one image, say) becomes the open dimension "batch" where
 * the outputs then have it too. An Identity of a stored tensor, which PyTorch writes where parameters are equal, becomes a
 * tensor of its own.
 *
 * @param model is not changed; tensors are shared with it.
 * @throws InputError if the operator set is older or newer; if kofn does not know an operator, or it has no meaning at inference
 * (all such nodes named, up to ten); if weights are not of type float32; if shapes do not fit.
 *
 * @example
 * const model = importModel(await loadModel("resnet.onnx"));
 * model.opsets.get(""); // 21
 */
export function importModel(model: Model): Model {
  return imported(model, {});
}

/** {@link importModel} with what is to be kept besides. */
export function imported(model: Model, options: Pick<RewriteOptions, "keepsDropout">): Model {
  const opset = model.opsets.get("") ?? 0;
  const name = `model "${model.graph.name}"`;
  if (opset < OLDEST_OPSET || opset > OPSET) {
    throw new InputError(
      `${name}: kofn imports operator sets (ai.onnx) ${OLDEST_OPSET} to ${OPSET}, but the model has ${opset}; ` +
        `export it with opset_version=${OPSET}`,
    );
  }
  checkImportable(model);
  const { graph } = rewritten(withoutStoredInputs(model.graph), opset, options);
  dropOutputIdentities(graph);
  removeDeadCode(graph);
  nameNodes(graph);
  const domains = new Set(graph.nodes.map(({ domain }) => domain));
  const opsets = [...model.opsets].filter(([domain]) => domains.has(domain) && domain !== "");
  return {
    ...model,
    irVersion: Math.max(model.irVersion, IR_VERSION),
    opsets: new Map([["", OPSET], ...opsets]),
    graph,
  };
}

/** Initializers that are listed as inputs, as old exporters do, are no inputs. */
function withoutStoredInputs(graph: Graph): Graph {
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)),
    valueTypes: new Map(graph.valueTypes),
  };
}

/** The graph with a batch that is open, if it can be. */
function rewritten(graph: Graph, opset: number, options: RewriteOptions): Rewritten {
  const [input] = graph.inputs;
  const batch = graph.inputs.length === 1 ? input.type?.shape?.at(0) : BATCH;
  if (typeof batch === "string" || (input.type?.shape?.length ?? 0) < 2)
    return rewrite(graph, opset, options);
  const opened = opening(graph, opset, { ...options, opened: batch });
  return opened ?? rewrite(graph, opset, options);
}

function opening(graph: Graph, opset: number, options: RewriteOptions): Rewritten | undefined {
  const inputs = graph.inputs.map(withBatch);
  try {
    const result = rewrite({ ...graph, inputs }, opset, options);
    const outputs = graph.outputs.map((output) => {
      return { ...output, type: result.types.get(output.name) ?? output.type };
    });
    if (outputs.some(({ type }) => type?.shape?.[0] !== BATCH)) return undefined;
    return { ...result, graph: { ...result.graph, inputs, outputs, valueTypes: new Map() } };
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

function withBatch({ name, type }: ValueInfo): ValueInfo {
  if (type?.shape === undefined) return { name, type };
  return { name, type: { dtype: type.dtype, shape: [BATCH, ...type.shape.slice(1)] } };
}
