/** Loads a .kofn file and plans how to run it. */

import { NetworkError } from "./errors.js";
import type { Program } from "./execute.js";
import { readContainer } from "./file/container.js";
import { readGraph } from "./file/graph.js";
import { type FileInfo, readInfo } from "./file/info.js";
import { type Fused, fuse } from "./graph/fuse.js";
import { withQuantizers } from "./graph/quantizers.js";
import { rewritten } from "./graph/rewrite.js";
import { inferShapes, supported } from "./graph/shapes.js";
import type { Dims, Graph } from "./graph/types.js";
import { layerInfo, type LayerInfo } from "./info.js";
import { instantiate, kernelModule } from "./kernels.js";
import { LEAST_WIDE, Network } from "./network.js";
import { lower } from "./plan/lower.js";
import { Memory } from "./plan/memory.js";
import { NotWide, Planner } from "./plan/planner.js";
import { VECTOR } from "./plan/value.js";
import { bytesOf, nameOf, type Source } from "./source.js";
import { Pool } from "./threads/pool.js";

/** Samples of a batch that run side by side on one thread, and the least on several, which is a multiple of a vector, too. */
const LANES = 32;
const LEAST_LANES = 8;
const MOST_THREADS = 256;

/** How a network is to be run. */
export interface LoadOptions {
  /**
   * Threads that share the samples of a batch, the caller's own included: 1 by default. In browsers more than one needs a page that
   * is isolated from others (cross-origin isolation).
   */
  readonly threads?: number;
}

/**
 * Loads a network.
 *
 * @param source address or path of a .kofn file, or its bytes
 * @throws NetworkError if there is no such file, if it is damaged, if it has an operator without a kernel, or if there can't be threads.
 * @example
 * const net = await load("model.kofn");
 * const logits = net.run(input);
 */
export async function load(source: Source, { threads = 1 }: LoadOptions = {}): Promise<Network> {
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS)
    throw new NetworkError(`threads: expected a whole number from 1 to ${MOST_THREADS}, got ${threads}`);
  const bytes = await bytesOf(source);
  const readers = readContainer(bytes, nameOf(source));
  return networkOf(readGraph(readers, bytes.length), readInfo(readers.info), bytes.length, threads);
}

/** A network of a graph, for one sample and for several side by side. */
async function networkOf(read: Graph, info: FileInfo, fileBytes: number, threads: number): Promise<Network> {
  const graph = supported(rewritten(withQuantizers(read)));
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
  const lanes = threads === 1 ? LANES : Math.max(LEAST_LANES, VECTOR * Math.ceil(LANES / threads / VECTOR));
  const wide = (): Program | undefined => wideOf(memory, graph, shapes, fused, lanes);
  let pool: Pool | undefined;
  let program: Program | undefined;
  if (threads > 1) {
    // Threads copy the memory, so all is to be in it.
    program = wide();
    const shared = {
      module: await kernelModule(),
      memory: memory.kernels.memory,
      lanes,
      leastWide: LEAST_WIDE,
    };
    pool = await Pool.start(threads - 1, { ...shared, single, wide: program });
  }
  return new Network({
    kernels: memory.kernels,
    pool,
    info: {
      ...info,
      input: planner.dims(graph.inputs[0].name),
      output: planner.dims(graph.outputs[0].name),
      layers,
      bytes: { file: fileBytes, values: single.arena, memory: memory.bytes },
    },
    single,
    wide: () => (threads > 1 ? program : wide()),
    lanes,
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
  lanes: number,
): Program | undefined {
  try {
    return plannerOf(graph, shapes, fused, lanes).build(memory);
  } catch (error) {
    if (error instanceof NotWide) return undefined;
    throw error;
  }
}
