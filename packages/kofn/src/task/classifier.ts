/** What kofn trains and evaluates of a model: from one image input, channels first, to the logits of its classes. */

import { InputError } from "../errors.js";
import { formatShape } from "../onnx/infer/support.js";
import { type Dim, getInt, type Graph, ints, type Model, type Node, type ValueInfo } from "../onnx/model.js";

/** A view of a model as a classifier. */
export interface Classifier {
  /** The model from images with their channels first to logits. Its tensors are those of the model. */
  readonly model: Model;
  /** Name of the input of images. */
  readonly input: string;
  /** Name of the logits [batch, classes]. */
  readonly output: string;
  /** Size of an image: [channels, height, width]. */
  readonly dims: readonly number[];
}

/** More channels than this no image has: a longer axis is a height. */
const MOST_CHANNELS = 4;

/**
 * Views a model as a classifier.
 *
 * A last Softmax or LogSoftmax is left out: the loss is that of the logits before it. Where the model takes images with their
 * channels last (as TensorFlow's do), the view has them transposed.
 *
 * @param model one input of images, float32 [batch, C, H, W] or [batch, H, W, C], and one output [batch, classes].
 * @throws InputError if the model has other inputs or outputs.
 */
export function classifierOf(model: Model): Classifier {
  const { graph } = model;
  const where = `model "${graph.name}"`;
  const image = imageInput(graph, where);
  const scores = scoresOutput(graph, where);
  const last = graph.nodes.find(({ outputs }) => outputs.includes(scores.name));
  const output = last !== undefined && isSoftmax(last) ? last.inputs[0] : scores.name;
  const nodes = output === scores.name ? graph.nodes : graph.nodes.filter((node) => node !== last);
  const view: Graph = { ...graph, nodes, outputs: [{ name: output, type: scores.type }] };
  const { name, type, shape } = image;
  const [batch, ...rest] = shape;
  const known = rest.filter((dim) => typeof dim === "number");
  if (rest.length === 3 && known.length === 3 && known[2] <= MOST_CHANNELS && known[0] > MOST_CHANNELS) {
    const [height, width, channels] = known;
    const dims = [channels, height, width];
    const input = `${name}/channels_first`;
    const turn: Node = {
      op: "Transpose",
      domain: "",
      name,
      inputs: [input],
      outputs: [name],
      attributes: new Map([["perm", ints([0, 2, 3, 1])]]),
    };
    const inputs: ValueInfo[] = [{ name: input, type: { dtype: type.dtype, shape: [batch, ...dims] } }];
    return { model: { ...model, graph: { ...view, inputs, nodes: [turn, ...nodes] } }, input, output, dims };
  }
  if (known.length < rest.length) {
    throw new InputError(
      `${where}: expected an image input of known size, got "${name}" ${formatShape(shape)}; export it with fixed channels, height and width`,
    );
  }
  return { model: { ...model, graph: view }, input: name, output, dims: known };
}

/** Whether the node normalises the classes of [batch, classes]. */
function isSoftmax(node: Node): boolean {
  const { op, domain } = node;
  return (
    domain === "" && (op === "Softmax" || op === "LogSoftmax") && [1, -1].includes(getInt(node, "axis", -1))
  );
}

interface ImageInput {
  readonly name: string;
  readonly type: NonNullable<ValueInfo["type"]>;
  readonly shape: readonly Dim[];
}

function imageInput(graph: Graph, where: string): ImageInput {
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const { name, type } = inputs.length === 1 ? inputs[0] : { name: "", type: undefined };
  const shape = type?.shape;
  if (type === undefined || shape === undefined || shape.length < 2) {
    throw new InputError(
      `${where}: expected one image input [batch, channels, height, width] of known size, got ${listed(inputs)}`,
    );
  }
  if (type.dtype !== "float32") {
    throw new InputError(
      `${where}: expected an image input of type float32, but "${name}" is ${type.dtype}; export the model with float inputs`,
    );
  }
  return { name, type, shape };
}

function scoresOutput(graph: Graph, where: string): ValueInfo {
  const [output] = graph.outputs;
  if (graph.outputs.length !== 1 || (output.type?.shape?.length ?? 2) !== 2) {
    throw new InputError(
      `${where}: expected a classifier with one output of logits [batch, classes], got ${listed(graph.outputs)}`,
    );
  }
  return output;
}

function listed(values: readonly ValueInfo[]): string {
  const described = values.slice(0, 5).map(({ name, type }) => `"${name}" ${formatShape(type?.shape)}`);
  const count = values.length === 1 ? "one" : values.length === 0 ? "none" : `${values.length}:`;
  const more = values.length > described.length ? ", ..." : "";
  return described.length === 0 ? count : `${count} ${described.join(", ")}${more}`;
}
