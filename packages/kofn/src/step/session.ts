/** A step's graph, opened by onnxruntime, with the arrays that it reads and writes in place. */

import type { Engine, Session, Value } from "../engine/session.js";
import { sizeOf } from "../onnx/tensor.js";
import type { Feed, FeedArray } from "../task/task.js";
import type { StepGraph } from "./graph.js";
import type { StepPlan } from "./plan.js";
import type { State } from "./state.js";
import type { StepResult } from "./step.js";

/** An array that an input or an output of the graph lies in. */
export interface Bound {
  readonly name: string;
  readonly dims: readonly number[];
  readonly array: Float32Array;
}

/** New arrays for a task's feeds. */
export function feedArrays(feeds: readonly Feed[]): Map<string, FeedArray> {
  return new Map(
    feeds.map(({ name, dtype, dims }) => {
      const size = sizeOf(dims);
      return [name, dtype === "int64" ? new BigInt64Array(size) : new Float32Array(size)];
    }),
  );
}

/** What a step reads and writes, by the names of its inputs and outputs. */
interface Binding {
  readonly feeds: Record<string, Value>;
  readonly results: Record<string, Value>;
}

export class StepSession {
  readonly #session: Session;
  readonly #state: State;
  /** One for each of the state's buffers being current. */
  readonly #bindings: readonly Binding[];
  readonly #scalars: ReadonlyMap<string, Float32Array>;
  readonly #results: readonly Float32Array[];

  private constructor(
    session: Session,
    state: State,
    bindings: readonly Binding[],
    scalars: ReadonlyMap<string, Float32Array>,
    results: readonly Float32Array[],
  ) {
    this.#session = session;
    this.#state = state;
    this.#bindings = bindings;
    this.#scalars = scalars;
    this.#results = results;
  }

  /**
   * @param reads what inputs lie in that are neither feeds, nor scalars, nor tensors of the state's buffers.
   * @param writes the same of outputs.
   */
  static async open(
    engine: Engine,
    graph: StepGraph,
    { task }: StepPlan,
    batch: ReadonlyMap<string, FeedArray>,
    state: State,
    reads: readonly Bound[],
    writes: readonly Bound[],
  ): Promise<StepSession> {
    const session = await engine.session(graph.model);
    const valueOf = ({ dims, array }: Bound): Value => engine.value("float32", dims, array);
    const scalars = new Map(graph.scalars.map((name) => [name, new Float32Array(1)]));
    const results = ["loss", ...task.counts].map((name) => ({ name, dims: [], array: new Float32Array(1) }));
    const feeds = graph.feeds.map(({ name, dtype, dims }) => {
      const array = batch.get(name);
      return [name, engine.value(dtype, dims, array as Float32Array & BigInt64Array)] as const;
    });
    const shared = [
      ...feeds,
      ...[...scalars].map(([name, array]) => [name, valueOf({ name, dims: [], array })] as const),
      ...reads.map((one) => [one.name, valueOf(one)] as const),
    ];
    const written = [...results, ...writes].map((one) => [one.name, valueOf(one)] as const);
    const bindings = state.bindings().map((own) => ({
      feeds: { ...own.feeds, ...Object.fromEntries(shared) },
      results: { ...own.results, ...Object.fromEntries(written) },
    }));
    return new StepSession(
      session,
      state,
      bindings,
      scalars,
      results.map(({ array }) => array),
    );
  }

  /** Runs the graph, and makes the state's new values the current ones. Scalars that the graph does not read are left out. */
  async run(scalars: Readonly<Record<string, number>>): Promise<StepResult> {
    for (const [name, array] of this.#scalars) array[0] = scalars[name];
    const { feeds, results } = this.#bindings[this.#state.current];
    await this.#session.run(feeds, results);
    this.#state.swap();
    const [loss, ...counts] = this.#results.map(([value]) => value);
    return { loss, counts };
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
