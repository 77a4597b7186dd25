/** What a layer is called: users write these names in prune specs. */

/** Weights that exporters name after a module: "layer1.0.conv1.weight", "resnet_conv0_weight". */
const MODULE_WEIGHT = /^(?!onnx::)(.+)[._/](?:weight|kernel)(?::\d+)?$/;

/** Node names that say no more than the operator: "Conv_12", "node_conv2d", "Gemm". */
const GENERIC = /^(?:node_)?(?:conv\w*?|gemm|matmul|linear|addmm|mm|dense)(?:[._]?\d+)*$/i;

/** Last parts of a path that name the operator: "/layer1/conv1/Conv", "model/fc/MatMul". */
const OPERATOR =
  /^(?:conv|conv2d|conv_?transpose|depthwise|depthwiseconv2dnative|gemm|matmul|tensordot|biasadd|linear)(?:_\d+)?$/i;

/** What exporters put before every path. */
const ROOT = /^(?:StatefulPartitionedCall|PartitionedCall)$/;

/**
 * The name of a layer: its node's name, unless that says less than the name of its weight.
 *
 * - A path of modules loses the operator's part and its slashes: "/layer1/layer1.0/conv1/Conv" is "layer1.0.conv1".
 * - Where the node has no name, a path, or only its operator's ("Conv_12"), and the weight is named after a module
 *   ("layer1.0.conv1.weight"), the module it is.
 *
 * So one network has the same layer names whichever way it was exported.
 *
 * @example
 * layerName("Conv_12", "layer1.0.conv1.weight"); // "layer1.0.conv1"
 * layerName("/layer1/layer1.0/conv1/Conv", "onnx::Conv_203"); // "layer1.0.conv1"
 */
export function layerName(node: string, weight: string): string {
  const isPath = node.includes("/");
  if (node !== "" && !isPath && !GENERIC.test(node)) return node;
  const module = MODULE_WEIGHT.exec(weight)?.at(1);
  if (module !== undefined) return fromPath(module);
  if (isPath) return fromPath(node);
  return node === "" ? weight : node;
}

/** The modules of a path with dots between them; PyTorch repeats the outer module's name: "/l/l.0/c1" is "l.0.c1". */
function fromPath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && !ROOT.test(part));
  if (parts.length > 1 && OPERATOR.test(parts[parts.length - 1])) parts.pop();
  const modules: string[] = [];
  for (const part of parts) {
    const outer = modules.at(-1);
    if (outer !== undefined && part.startsWith(`${outer}.`)) modules.pop();
    modules.push(part);
  }
  return modules.length === 0 ? path : modules.join(".");
}
