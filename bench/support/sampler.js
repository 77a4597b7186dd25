/** The k-of-n sampler alone, forward and backward, as a training step has it. */

import { Engine } from "../../packages/kofn/dist/engine/session.js";
import { modelOf } from "../../packages/kofn/dist/lower/model.js";
import { hostDraws } from "../../packages/kofn/dist/lower/sampler.js";
import { Builder } from "../../packages/kofn/dist/onnx/builder.js";
import { emptyGraph, int } from "../../packages/kofn/dist/onnx/model.js";
import { HostSampler } from "../../packages/kofn/dist/prune/host-sampler.js";
import { Random } from "../../packages/kofn/dist/random.js";

/** @typedef {import("./peers.js").SamplerSize} SamplerSize */
/** @typedef {import("../../packages/kofn/dist/engine/session.js").Session} Session */
/** @typedef {import("../../packages/kofn/dist/engine/session.js").Value} Value */
/** @typedef {import("../../packages/kofn/dist/onnx/model.js").Model} Model */

/** As in the published formulation's program. */
const TAU = 1;
const BETA = 1;

/**
 * @param {SamplerSize} size
 * @returns {Model}
 */
function samplerModel({ rows, n, k }) {
  const b = new Builder(emptyGraph("sampler"));
  const phi = b.input("phi", "float32", [rows, n]);
  const noise = b.input("noise", "float32", [rows, n]);
  const tau = b.input("tau", "float32", []);
  const upstream = b.input("upstream", "float32", [rows, n]);
  b.output(b.op("KofN", [phi, noise, tau], { k: int(k) }, "mask"));
  b.output(b.op("KofNGrad", [upstream, phi, noise, tau], { k: int(k) }, "gradient"));
  return modelOf(b.graph, { draws: "host" });
}

/** Draws masks and computes the gradient of the logits, again and again. */
export class Sampler {
  /** @type {Session} */
  #session;
  /** @type {HostSampler} */
  #draws;
  /** @type {Float32Array} */
  #logits;
  /** @type {Record<string, Value>} */
  #feeds;
  /** @type {Record<string, Value>} */
  #results;
  #step = 0;

  /**
   * @param {Engine} engine
   * @param {Session} session
   * @param {SamplerSize} size
   * @param {Set<string>} inputs those of the model
   */
  constructor(engine, session, { rows, n, k }, inputs) {
    this.#session = session;
    const count = rows * n;
    this.#logits = normal(count, "phi");
    this.#draws = new HostSampler(rows, n, k, 1, "bench");
    const { values, indices, undrawn } = this.#draws;
    const names = hostDraws("phi");
    /** @type {Record<string, Value>} */
    const feeds = {
      phi: engine.value("float32", [rows, n], this.#logits),
      tau: engine.value("float32", [], Float32Array.of(TAU)),
      upstream: engine.value("float32", [rows, n], normal(count, "upstream")),
      [names.values]: engine.value("float32", [rows, k], values),
      [names.indices]: engine.value("int32", [rows, k], indices),
      [names.undrawn]: engine.value("float32", [rows, n], undrawn),
    };
    this.#feeds = Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.has(name)));
    this.#results = {
      mask: engine.value("float32", [rows, n], new Float32Array(count)),
      gradient: engine.value("float32", [rows, n], new Float32Array(count)),
    };
  }

  /**
   * @param {SamplerSize} size
   * @param {number} threads
   * @returns {Promise<Sampler>}
   */
  static async create(size, threads) {
    const engine = await Engine.open({ threads });
    const model = samplerModel(size);
    const inputs = new Set(model.graph.inputs.map(({ name }) => name));
    return new Sampler(engine, await engine.session(model), size, inputs);
  }

  /**
   * Makes noise, draws, and runs the graph that makes the mask and the gradient of the logits.
   *
   * @returns {Promise<{ total: number, draws: number }>} milliseconds, and those of them that noise and draws took
   */
  async run() {
    const begin = performance.now();
    this.#draws.sample(this.#logits, this.#step++, BETA, TAU);
    const drawn = performance.now();
    await this.#session.run(this.#feeds, this.#results);
    return { total: performance.now() - begin, draws: drawn - begin };
  }

  /** @returns {Promise<void>} */
  close() {
    return this.#session.close();
  }
}

/**
 * @param {number} count
 * @param {string} stream
 * @returns {Float32Array<ArrayBuffer>}
 */
function normal(count, stream) {
  const random = new Random(1, stream);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = random.normal();
  return values;
}
