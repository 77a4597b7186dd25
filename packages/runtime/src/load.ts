/** Loads a .kofn file and plans how to run it. */

import { NetworkError } from "./errors.js";
import { readContainer } from "./file/container.js";
import { readGraph } from "./file/graph.js";
import { type FileInfo, readInfo } from "./file/info.js";
import { type Fused, fuse } from "./graph/fuse.js";
import { withQuantizers } from "./graph/quantizers.js";
import { rewritten } from "./graph/rewrite.js";
import { inferShapes } from "./graph/shapes.js";
import type { Dims, Graph } from "./graph/types.js";
import { layerInfo, type LayerInfo } from "./info.js";
import { instantiate } from "./kernels.js";
import { Network, type Wide } from "./network.js";
import { lower } from "./plan/lower.js";
import { Memory } from "./plan/memory.js";
import { NotWide, Planner } from "./plan/planner.js";
import { bytesOf, nameOf, type Source } from "./source.js";

/** Samples of a batch that run side by side. */
const LANES = 32;

/**
 * Loads a network.
 *
 * @param source address or path of a .kofn file, or its bytes
 * @throws NetworkError if there is no such file, if it is damaged, or if it has an operator without a kernel.
 * @example
 * const net = await load("model.kofn");
 * const logits = net.run(input);
 */
export async function load(source: Source): Promise<Network> {
  const bytes = await bytesOf(source);
  const { graph, info, masks, values } = readContainer(bytes, nameOf(source));
  return networkOf(readGraph(graph, masks, values, bytes.length), readInfo(info), bytes.length);
}

/** A network of a graph, for one sample and for several side by side. */
export async function networkOf(read: Graph, info: FileInfo, fileBytes: number): Promise<Network> {
  const graph = withQuantizers(rewritten(read));
  if (graph.inputs.length !== 1 || graph.outputs.length !== 1) {
    throw new NetworkError(
      `only networks with one input and one output are supported, not with ${graph.inputs.length} and ${graph.outputs.length}`,
    );
  }
  const shapes = inferShapes(graph);
  const fused = fuse(graph, shapes);
  const planner = plannerOf(graph, shapes, fused, 1);
  const memory = new Memory(await instantiate());
  const single = planner.build(memory);
  const layers = fused.flatMap((one): LayerInfo[] => {
    const choice = planner.choiceOf(one.node.name);
    return choice === undefined ? [] : [layerInfo(graph, one, (name) => planner.dims(name), choice)];
  });
  return new Network({
    kernels: memory.kernels,
    info: {
      ...info,
      input: planner.dims(graph.inputs[0].name),
      output: planner.dims(graph.outputs[0].name),
      layers,
      bytes: { file: fileBytes, values: single.arena, memory: memory.bytes },
    },
    single,
    wide: () => wideOf(memory, graph, shapes, fused),
    hasSoftmax: graph.nodes.some(
      ({ op, outputs }) => op === "Softmax" && outputs[0] === graph.outputs[0].name,
    ),
  });
}

function plannerOf(
  graph: Graph,
  shapes: ReadonlyMap<string, Dims>,
  fused: readonly Fused[],
  lanes: number,
): Planner {
  const planner = new Planner(graph, shapes, lanes);
  for (const one of fused) lower(planner, one);
  return planner;
}

/** The plan for several samples, if there is one. */
function wideOf(
  memory: Memory,
  graph: Graph,
  shapes: ReadonlyMap<string, Dims>,
  fused: readonly Fused[],
): Wide | undefined {
  try {
    return { program: plannerOf(graph, shapes, fused, LANES).build(memory), lanes: LANES };
  } catch (error) {
    if (error instanceof NotWide) return undefined;
    throw error;
  }
}
