/** The engines in which a network can be timed, behind one interface: @kofn/runtime, and onnxruntime's two. */

import type { Provider } from "@kofn/format/run/words.js";
import type { Network } from "@kofn/runtime";
import { Engine } from "../engine/session.js";
import type { Model } from "../onnx/model.js";

/** With which kofn is compared. */
export const PEERS = ["onnxruntime-node", "onnxruntime-web"] as const;
export type Peer = (typeof PEERS)[number];
export type EngineName = "kofn" | Peer;

const PROVIDERS: Readonly<Record<Peer, Provider>> = { "onnxruntime-node": "cpu", "onnxruntime-web": "wasm" };

/** A network with an input, ready to be run again and again. */
export interface Runner {
  readonly engine: EngineName;
  /** Computes the batch once; undefined when that is done at once. */
  run(): Promise<unknown> | undefined;
  /** Computes the batch once more, for its results. */
  results(): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Names of a model's input and output. */
export interface Names {
  readonly input: string;
  readonly output: string;
}

/** A batch of samples. */
export interface Batch {
  /** [samples, ...] */
  readonly dims: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

/** A network in @kofn/runtime. */
export function kofnRunner(net: Network, { dims, values }: Batch): Runner {
  const results = new Float32Array(dims[0] * net.info.output.reduce((size, dim) => size * dim, 1));
  return {
    engine: "kofn",
    run: () => {
      net.run(values, results);
      return undefined;
    },
    results: () => Promise.resolve(net.run(values)),
    close: () => {
      net.close();
      return Promise.resolve();
    },
  };
}

/**
 * A model in one of onnxruntime's packages.
 *
 * @param source the model, or the path of its file.
 * @throws KofnError if the package can't be loaded, or refuses the model.
 */
export async function onnxRunner(
  peer: Peer,
  source: Model | string,
  names: Names,
  { dims, values }: Batch,
  threads: number,
): Promise<Runner> {
  const engine = await openPeer(peer, threads);
  const session = await engine.session(source);
  const feeds = { [names.input]: engine.value("float32", dims, values) };
  const fetches = { [names.output]: null };
  return {
    engine: peer,
    run: () => session.run(feeds, fetches),
    results: async () => (await session.run(feeds, fetches))[names.output].data as Float32Array,
    close: () => session.close(),
  };
}

/** @throws KofnError if the package can't be loaded. */
export function openPeer(peer: Peer, threads: number): Promise<Engine> {
  return Engine.open({ provider: PROVIDERS[peer], threads });
}
