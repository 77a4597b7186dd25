/** The k-of-n sampler of one pruned layer on the host, with its logits, in one thread. */

import type { UpdateScalars } from "../optim/optimizer.js";
import { SamplerMemory } from "./sampler-memory.js";

/**
 * Samples k of n units in each of R rows and learns the logits of which it samples: the k largest of z = logits + beta * g,
 * with g standard Gumbel noise that is a function of (seed, name, step) alone. The noise of a step is a run of values in a pool
 * that is made once, from a place that is drawn anew in each step, as Salimans et al. share noise (Evolution Strategies as a
 * Scalable Alternative to Reinforcement Learning, arXiv 1703.03864, section 2.1). Within a step no two units have the same
 * value of the pool, up to 2^20 units; larger layers read it in blocks of that many, each from a place of its own. Over many steps
 * a unit is kept as often as under independent noise but for about 0.001 of them (docs/sampler.md, Noise).
 *
 * It computes what the operators KofN and KofNGrad and the logits' optimizer mean, in the host's memory: a training step's
 * graph reads `mask` and writes `gradient`. With `weights` it also masks these and learns them: `mask` is W~ = W * M then,
 * and `gradient` dL/dW~, of which dL/dM = dL/dW~ * W and dL/dW = dL/dW~ * M. The arrays stay the same from step to step.
 *
 * @example
 * const sampler = new HostSampler({ rows: 300, n: 784, most: 40, seed: 1, name: "fc1.weight", optimizer, entropy: 0 });
 * sampler.sample(step, 0.1, 40); // fills sampler.mask
 * sampler.gradient.set(gradientOfMask);
 * sampler.update(5, optimizer.scalars(step + 1, 0.03)); // sampler.logits have moved
 */
export class HostSampler extends SamplerMemory<ArrayBuffer> {
  readonly #blocks = this.blocks();
  #k = 0;

  /**
   * Draws a mask.
   *
   * @param beta scale of the noise
   * @param k at most `most`
   */
  sample(step: number, beta: number, k: number): void {
    this.#k = k;
    this.drawNoise(step);
    for (const { first, end } of this.#blocks) this.kernel.sample(this.address, 0, first, end, k, beta);
  }

  /**
   * Replaces the gradient of the last mask by that of the logits, at temperature tau, with the entropy regulariser's. Not
   * with `weights`.
   */
  backward(tau: number): void {
    for (const { first, end } of this.#blocks) {
      this.kernel.backward(this.address, 0, first, end, this.#k, tau);
    }
  }

  /**
   * The gradient of the logits, and the optimizer's update of them; with `weights`, of these too. Without, `gradient` is that of
   * the logits then.
   *
   * @param ofLogits what the optimizer's `scalars` gave for this step
   * @param ofWeights what the weights' optimizer's gave, if the sampler holds them
   */
  update(tau: number, ofLogits: UpdateScalars, ofWeights?: UpdateScalars): void {
    this.setScalars(ofLogits, ofWeights);
    for (const { first, end } of this.#blocks) {
      this.kernel.update(this.address, 0, first, end, this.#k, tau);
    }
  }
}
