/** A step whose masks the host samples, against the same step sampled within its graph, which defines it. */

import { describe, expect, test } from "vitest";
import { Engine, type Session, type Value } from "../../src/engine/session.js";
import { type HostArrays, HostOptimizer } from "../../src/host/optimizer.js";
import { HostSampler } from "../../src/host/sampler.js";
import { prunableLayers } from "../../src/layers/layers.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { type Optimizer, optimizerOf, type UpdateScalars } from "../../src/optim/optimizer.js";
import type { OptimizerOptions } from "../../src/optim/options.js";
import { kernels, maps, resolvePrune, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { Random } from "../../src/random.js";
import { type CompiledStep, compileStep } from "../../src/step/graph.js";
import { logitsName } from "../../src/step/names.js";
import { tinyModel } from "../support/tiny.js";

const BATCH = 6;
const STEPS = 8;
const MODEL = tinyModel();

function normals(count: number, stream: string): Float32Array {
  const random = new Random(2, stream);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** A compiled step with its tensors, which runs on fixed batches. */
class Runner {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #step: CompiledStep;
  readonly values: Map<string, Float32Array>;

  constructor(engine: Engine, session: Session, step: CompiledStep) {
    this.#engine = engine;
    this.#session = session;
    this.#step = step;
    const parameter = (name: string): Float32Array | undefined =>
      MODEL.graph.initializers.has(name) ? initial(name) : undefined;
    this.values = new Map(
      step.tensors.map(({ name, dims }) => [
        name,
        parameter(name)?.slice() ?? new Float32Array(dims.reduce((a, b) => a * b, 1)),
      ]),
    );
  }

  static async create(step: CompiledStep): Promise<Runner> {
    const engine = await Engine.open({ threads: 1 });
    return new Runner(engine, await engine.session(step.model), step);
  }

  /** Runs the step; gives what it wrote besides its tensors. */
  async run(
    t: number,
    scalars: Readonly<Record<string, number>>,
    others: Readonly<Record<string, { dims: readonly number[]; array: Float32Array }>>,
  ): Promise<Readonly<Record<string, Value>>> {
    const step = this.#step;
    const labels = BigInt64Array.from({ length: BATCH }, (_, i) => BigInt((i + t) % 3));
    const images = normals(BATCH * 64, `images ${t}`);
    const feeds: Record<string, Value> = {
      [step.images.name]: this.#engine.value("float32", step.images.dims, images),
      [step.labels.name]: this.#engine.value("int64", step.labels.dims, labels),
    };
    for (const { name, dims } of step.tensors) {
      feeds[name] = this.#engine.value("float32", dims, this.values.get(name) ?? new Float32Array());
    }
    for (const name of step.scalars) {
      feeds[name] = this.#engine.value("float32", [], Float32Array.of(scalars[name]));
    }
    for (const [name, { dims, array }] of Object.entries(others)) {
      feeds[name] = this.#engine.value("float32", dims, array);
    }
    const outputs = step.model.graph.outputs.map(({ name }) => [name, null] as const);
    const results = await this.#session.run(feeds, Object.fromEntries(outputs));
    for (const { name, updated } of step.tensors) {
      this.values.set(name, Float32Array.from(results[updated].data as Float32Array));
    }
    return results;
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

const prefixed = (prefix: string, scalars: UpdateScalars): [string, number][] =>
  Object.entries({ ...scalars }).map(([name, value]) => [`${prefix}/${name}`, value]);

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(actual.length, what).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  expect(worst, what).toBeLessThan(1e-4);
}

/** The model's values of a parameter that is trained. */
function initial(name: string): Float32Array {
  const found = MODEL.graph.initializers.get(name) as Tensor<"float32"> | undefined;
  if (found === undefined) throw new Error(`there is no parameter "${name}"`);
  return found.array();
}

type Where = "weights in the graph" | "weights on the host";

async function compare(
  where: Where,
  prune: PruneSpec,
  options: OptimizerOptions,
  entropy: number,
): Promise<void> {
  const layers = resolvePrune(prunableLayers(MODEL.graph), prune);
  const k = layers.map((layer) => layer.k);
  const parameters: Optimizer = optimizerOf({ kind: "adam", lr: 0.01 });
  const optimizer = optimizerOf(options);
  const common = { batch: BATCH, layers };
  const ofHost = where === "weights on the host" ? "host" : parameters;
  const hostStep = compileStep(MODEL, { ...common, weights: ofHost, sampling: "host" });
  const host = await Runner.create(hostStep);
  const sampling = { k, optimizer, entropy };
  const graphStep = compileStep(MODEL, { ...common, weights: parameters, sampling });
  const graph = await Runner.create(graphStep);
  const hostOptimizer = new HostOptimizer(parameters, hostStep.parameters);
  /** What the host trains, by the names that the graph's step has for it. */
  const trained = new Map<string, Float32Array>();
  const hold = (name: string, { values, states }: Omit<HostArrays, "gradient">): void => {
    values.set(initial(name));
    trained.set(name, values);
    for (const [state, array] of states) trained.set(`${name}/${state}`, array);
  };
  for (const [name, arrays] of hostOptimizer.arrays) hold(name, arrays);
  const samplers = layers.map(({ groups, n, weight }, i) => {
    const sampler = new HostSampler({
      rows: groups,
      n,
      most: k[i],
      seed: 3,
      name: weight,
      optimizer,
      entropy,
      ...(hostStep.masks[i].weight === undefined ? {} : { weights: parameters }),
    });
    if (sampler.weights !== undefined) hold(weight, sampler.weights);
    sampler.logits.set(normals(groups * n, weight));
    graph.values.set(logitsName(weight), sampler.logits.slice());
    return sampler;
  });
  for (let t = 0; t < STEPS; t++) {
    const tau = 2 - t / STEPS;
    const ofWeights = parameters.scalars(t + 1, 0.01);
    const weightScalars = prefixed("weights", ofWeights);
    const logitScalars = optimizer.scalars(t + 1, options.lr);
    const dims = (i: number): readonly number[] => [layers[i].groups, layers[i].n];
    samplers.forEach((sampler, i) => {
      sampler.sample(t, 0.5, k[i]);
    });
    const noises = samplers.map((sampler, i) => {
      const array = sampler.perturbed.map((z, j) => z - sampler.logits[j]);
      return [graphStep.noises[i], { dims: dims(i), array }] as const;
    });
    const masks = samplers.map((sampler, i) => {
      const { name, dims } = hostStep.masks[i];
      return [name, { dims, array: sampler.mask }] as const;
    });
    const held = hostStep.parameters.map(({ name, dims }) => {
      return [name, { dims, array: trained.get(name) ?? new Float32Array() }] as const;
    });
    const others = Object.fromEntries([...masks, ...held]);
    const byHost = await host.run(t, Object.fromEntries(weightScalars), others);
    samplers.forEach((sampler, i) => {
      sampler.gradient.set(byHost[hostStep.masks[i].gradient].data as Float32Array);
      sampler.update(tau, logitScalars, ofWeights);
    });
    for (const { name, gradient } of hostStep.parameters) {
      hostOptimizer.arrays.get(name)?.gradient.set(byHost[gradient].data as Float32Array);
    }
    hostOptimizer.update(ofWeights);
    const all = Object.fromEntries([...weightScalars, ...prefixed("logits", logitScalars), ["tau", tau]]);
    const byGraph = await graph.run(t, all, Object.fromEntries(noises));
    expectClose(byHost.loss.data as Float32Array, byGraph.loss.data as Float32Array, `loss of step ${t}`);
    for (const [name, values] of [...host.values, ...trained]) {
      expectClose(values, graph.values.get(name) ?? [], name);
    }
    samplers.forEach((sampler, i) => {
      const name = logitsName(layers[i].weight);
      expectClose(sampler.logits, graph.values.get(name) ?? [], `${name} after step ${t}`);
      for (const [state, values] of sampler.states) {
        expectClose(values, graph.values.get(`${name}/${state}`) ?? [], `${name}/${state}`);
      }
    });
  }
  const logitTensors = layers.length * (1 + optimizer.state.length);
  expect(host.values.size + trained.size + logitTensors).toBe(graph.values.size);
  await Promise.all([host.close(), graph.close()]);
}

const tilesAndKernels: PruneSpec = {
  conv: weights({ k: 3, per: "kernel" }),
  fc: weights({ tile: [2, 4] }),
};

describe.each<Where>(["weights in the graph", "weights on the host"])("sampling on the host, %s", (where) => {
  test.each<[string, PruneSpec, OptimizerOptions, number]>([
    ["weights, Adam", { fc: weights({ k: 12 }) }, { kind: "adam", lr: 0.03, epsilon: 1e-3 }, 0],
    ["shared weights", { fc: weights({ k: 7, share: 3 }) }, { kind: "sgd", lr: 0.3, momentum: 0.9 }, 0],
    ["kernels and weights", { conv: kernels({ k: 1 }), fc: weights({ k: 36 }) }, { kind: "sgd", lr: 0.3 }, 0],
    ["maps and tiles", { conv: maps({ k: 2 }), fc: weights({ tile: [2, 4] }) }, { kind: "sgd", lr: 0.3 }, 0],
    ["tiles and kernels' weights", tilesAndKernels, { kind: "adam", lr: 0.03, epsilon: 1e-3 }, 0],
    ["the regulariser", { fc: weights({ k: 12 }) }, { kind: "sgd", lr: 0.3, weightDecay: 0.1 }, 0.01],
  ])("equals sampling within the graph: %s", (_, prune, options, entropy) =>
    compare(where, prune, options, entropy),
  );
});
