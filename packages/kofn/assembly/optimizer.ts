/** Updates of parameters in one pass over memory: the formulas of src/optim/optimizer.ts. */

import { Learner } from "./structures";

/**
 * 2^-100, added to a moment and subtracted, which rounds it to multiples of 2^-123: no number of training notices, and none is
 * denormal. The moment of a weight that is no longer kept would decay to such numbers and stay there, and processors take
 * twice as long with them.
 */
const TINY: usize = memory.data<f32>([7.888609052210118e-31], 4);

/**
 * Makes the optimizer's step for some of its numbers.
 *
 * @param gradients of them
 * @param offset bytes from the first number of all to the first of them
 * @param count a multiple of 4
 */
export function learn(learner: Learner, gradients: usize, offset: usize, count: i32): void {
  if (learner.isAdam != 0) adam(learner, gradients, offset, (<usize>count) << 2);
  else sgd(learner, gradients, offset, (<usize>count) << 2);
}

/** m <- beta1 m + g,  v <- beta2 v + g^2,  p <- decay p - rate m / (sqrt(v) + epsilon). */
function adam(learner: Learner, g: usize, offset: usize, bytes: usize): void {
  const p = learner.values + offset;
  const m = learner.m + offset;
  const v = learner.v + offset;
  const tiny = v128.load32_splat(TINY);
  const beta1s = f32x4.splat(learner.beta1);
  const beta2s = f32x4.splat(learner.beta2);
  const rates = f32x4.splat(learner.rate);
  const epsilons = f32x4.splat(learner.epsilon);
  const decays = f32x4.splat(learner.decay);
  for (let at: usize = 0; at < bytes; at += 16) {
    const gradient = v128.load(g + at);
    const decayed = f32x4.add(f32x4.mul(v128.load(m + at), beta1s), tiny);
    const newM = f32x4.sub(f32x4.add(decayed, gradient), tiny);
    const newV = f32x4.add(f32x4.mul(v128.load(v + at), beta2s), f32x4.mul(gradient, gradient));
    const change = f32x4.mul(f32x4.div(newM, f32x4.add(f32x4.sqrt(newV), epsilons)), rates);
    v128.store(m + at, newM);
    v128.store(v + at, newV);
    v128.store(p + at, f32x4.sub(f32x4.mul(v128.load(p + at), decays), change));
  }
}

/** v <- momentum v + g,  p <- decay p - rate (g + momentum v if nesterov, else v). */
function sgd(learner: Learner, g: usize, offset: usize, bytes: usize): void {
  const p = learner.values + offset;
  const velocity = learner.velocity + offset;
  const momentum = learner.momentum;
  const nesterov = learner.isNesterov != 0;
  const momenta = f32x4.splat(momentum);
  const rates = f32x4.splat(learner.rate);
  const decays = f32x4.splat(learner.decay);
  for (let at: usize = 0; at < bytes; at += 16) {
    const gradient = v128.load(g + at);
    let direction = gradient;
    if (momentum > 0) {
      const newVelocity = f32x4.add(f32x4.mul(v128.load(velocity + at), momenta), gradient);
      v128.store(velocity + at, newVelocity);
      direction = nesterov ? f32x4.add(gradient, f32x4.mul(newVelocity, momenta)) : newVelocity;
    }
    v128.store(p + at, f32x4.sub(f32x4.mul(v128.load(p + at), decays), f32x4.mul(direction, rates)));
  }
}
