/** Runs graphs on onnxruntime, to compare what it computes with the reference evaluator. */

import { Engine, type EngineOptions } from "../../src/engine/session.js";
import type { HostType } from "../../src/onnx/dtype.js";
import { type Graph, IR_VERSION, type Model, OPSET } from "../../src/onnx/model.js";
import { type Tensor, tensor, tensorFrom } from "../../src/onnx/tensor.js";

/** A lowered graph as a model. */
export function modelOf(graph: Graph): Model {
  return {
    irVersion: IR_VERSION,
    producerName: "test",
    producerVersion: "",
    opsets: new Map(graph.nodes.map(({ domain }) => [domain, domain === "" ? OPSET : 1])),
    graph,
    metadata: new Map(),
  };
}

/** The graph's outputs, as onnxruntime computes them on one thread. */
export async function execute(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  options: EngineOptions = { threads: 1 },
): Promise<Map<string, Tensor>> {
  const engine = await Engine.open(options);
  const session = await engine.session(modelOf(graph));
  try {
    const values = [...feeds].map(([name, value]) => {
      const { dtype, dims } = value as Tensor<HostType>;
      return [name, engine.value(dtype, dims, (value as Tensor<HostType>).array())] as const;
    });
    const wanted = graph.outputs.map(({ name }) => [name, null] as const);
    const results = await session.run(Object.fromEntries(values), Object.fromEntries(wanted));
    return new Map(
      Object.entries(results).map(([name, { type, dims, data }]) => {
        return [name, tensor(type as "float32", dims, (data as Float32Array).slice())];
      }),
    );
  } finally {
    await session.close();
  }
}

/** The tensor in float32 if it is float64. */
export function single(value: Tensor): Tensor {
  return value.dtype === "float64" ? tensorFrom("float32", value.dims, value.numbers()) : value;
}

/** The tensor in float64 if it is float32. */
export function double(value: Tensor): Tensor {
  return value.dtype === "float32" ? tensorFrom("float64", value.dims, value.numbers()) : value;
}
