/**
 * Loaded before every test file: the validator follows each pass over graphs, whoever calls it, so that one that leaves a
 * graph malformed fails by its own name. What import and `atBatch` leave comes out of one of these passes, too.
 *
 * Each mock loads {@link validated} itself, so that only tests that run a pass load the validator.
 */

import { vi } from "vitest";

vi.mock(import("../../src/onnx/passes.js"), async (original) => {
  const [module, { validated }] = await Promise.all([original(), import("./validated.js")]);
  return {
    ...module,
    foldConstants: validated(module.foldConstants, (_, graph) => graph),
    mergeCommonSubexpressions: validated(module.mergeCommonSubexpressions, (_, graph) => graph),
    removeDeadCode: validated(module.removeDeadCode, (_, graph) => graph),
    simplify: validated(module.simplify, (_, graph) => graph),
  };
});

vi.mock(import("../../src/autodiff/differentiate.js"), async (original) => {
  const [module, { validated }] = await Promise.all([original(), import("./validated.js")]);
  return { ...module, differentiate: validated(module.differentiate, (_, { graph }) => graph) };
});

vi.mock(import("../../src/lower/pool-phases.js"), async (original) => {
  const [module, { validated }] = await Promise.all([original(), import("./validated.js")]);
  return { ...module, poolByPhases: validated(module.poolByPhases, (graph) => graph) };
});

vi.mock(import("../../src/lower/lower.js"), async (original) => {
  const [module, { validated }] = await Promise.all([original(), import("./validated.js")]);
  return { ...module, lower: validated(module.lower, (graph) => graph) };
});
