/** onnxruntime behind one small interface: a session runs a model with named arrays in and out. */

import { type Provider, PROVIDERS } from "@kofn/format/run/words.js";
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from "onnxruntime-common";
import { InputError, KofnError, messageOf } from "../errors.js";
import { encodeModelBytes } from "../onnx/codec.js";
import type { Arrays, HostType } from "../onnx/dtype.js";
import type { Model } from "../onnx/model.js";

/** A value that goes into or comes out of a session. */
export type Value = OrtTensor;

interface Backend {
  readonly InferenceSession: {
    /** @param source an encoded model, or the path of one. */
    create(source: Uint8Array | string, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
  readonly env: { wasm: { numThreads?: number } };
}

export interface EngineOptions {
  /** Default "cpu". */
  readonly provider?: Provider;
  /** Default: the number of cores. */
  readonly threads?: number;
  /** Writes onnxruntime's profile to a file with this prefix. */
  readonly profile?: string;
}

/** One of onnxruntime's builds, ready to make sessions. */
export class Engine {
  readonly provider: Provider;
  readonly #backend: Backend;
  readonly #options: EngineOptions;

  private constructor(provider: Provider, backend: Backend, options: EngineOptions) {
    this.provider = provider;
    this.#backend = backend;
    this.#options = options;
  }

  /**
   * @throws InputError if the provider is unknown, or is one that this version does not run.
   * @throws KofnError if onnxruntime's package for it can't be loaded.
   */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const provider = options.provider ?? "cpu";
    switch (provider) {
      case "cpu":
        return new Engine(
          provider,
          await load(() => import("onnxruntime-node"), "onnxruntime-node"),
          options,
        );
      case "wasm":
        return new Engine(provider, await load(() => import("onnxruntime-web"), "onnxruntime-web"), options);
      case "webgpu":
      case "cuda":
        throw new InputError(
          `provider "${provider}" is not in this version of kofn; it runs on cpu and wasm`,
        );
      default:
        throw new InputError(
          `there is no provider "${String(provider)}"; the providers are ${PROVIDERS.join(", ")}`,
        );
    }
  }

  /** A tensor over the array, without copying it. */
  value<T extends HostType>(dtype: T, dims: readonly number[], array: Arrays[T]): Value {
    return new this.#backend.Tensor(dtype as "float32", array as Float32Array, dims);
  }

  /**
   * @param source a model, or the path of an ONNX file.
   * @param optimizedPath file to write the graph to as onnxruntime has rewritten it (cpu alone).
   * @throws KofnError with onnxruntime's message if it refuses the model.
   */
  async session(source: Model | string, optimizedPath?: string): Promise<Session> {
    const { threads, profile } = this.#options;
    if (this.provider === "wasm") this.#backend.env.wasm.numThreads = threads ?? 1;
    const options: InferenceSession.SessionOptions = {
      executionProviders: [this.provider],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      logSeverityLevel: 3,
      // Threads that wait by spinning starve each other as soon as the machine has anything else to do.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
      ...(threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
      ...(optimizedPath === undefined ? {} : { optimizedModelFilePath: optimizedPath }),
      ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
    };
    try {
      const session = await this.#backend.InferenceSession.create(
        typeof source === "string" ? source : encodeModelBytes(source),
        options,
      );
      // The WebAssembly build leaves preallocated results as they were.
      return new Session(session, this.provider !== "wasm");
    } catch (error) {
      const name = typeof source === "string" ? source : `the graph "${source.graph.name}"`;
      throw new KofnError(`onnxruntime (${this.provider}) refuses ${name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

async function load(importer: () => Promise<unknown>, name: string): Promise<Backend> {
  try {
    const module = (await importer()) as Backend & { default?: Backend };
    return "InferenceSession" in module ? module : (module as { default: Backend }).default;
  } catch (error) {
    throw new KofnError(
      `the package ${name} can't be loaded (${messageOf(error)}); install it with "npm install ${name}", ` +
        `or choose another provider with --provider`,
      { cause: error },
    );
  }
}

export class Session {
  readonly #session: InferenceSession;
  readonly #writesInPlace: boolean;

  constructor(session: InferenceSession, writesInPlace: boolean) {
    this.#session = session;
    this.#writesInPlace = writesInPlace;
  }

  /**
   * Runs the model.
   *
   * @param results where results go: a preallocated value is written in place, null is made anew.
   */
  async run(
    feeds: Readonly<Record<string, Value>>,
    results: Readonly<Record<string, Value | null>>,
  ): Promise<Readonly<Record<string, Value>>> {
    if (this.#writesInPlace) return this.#session.run(feeds, results);
    const made = await this.#session.run(feeds, Object.keys(results));
    return Object.fromEntries(
      Object.entries(results).map(([name, target]) => {
        if (target !== null) (target.data as Float32Array).set(made[name].data as Float32Array);
        return [name, target ?? made[name]];
      }),
    );
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  /** Ends profiling, which writes the profile's file. */
  endProfiling(): void {
    this.#session.endProfiling();
  }
}
