/** Settings as plain data: what is accepted, what is not, and that a config says the same as the options it was made of. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { weights } from "../../src/prune/spec.js";
import { checkConfig } from "../../src/options/config.js";
import { readNumber } from "../../src/options/kinds.js";
import { configOf, optionsOf } from "../../src/options/settings.js";

/** What checkConfig says of a wrong value. */
function problem(values: unknown): string {
  const checked = checkConfig(values);
  if ("config" in checked) throw new Error("nothing is wrong");
  return `${checked.problem.path.map(String).join(".")}: ${checked.problem.message}`;
}

describe("checkConfig", () => {
  test("pairs are written as lists or as on the command line", () => {
    const read = (values: unknown): unknown => {
      const checked = checkConfig(values);
      return "config" in checked ? checked.config : checked.problem;
    };
    expect(read({ tau: "5:0.5", beta: "0.1", shrink: "0:.5" })).toEqual({
      tau: [5, 0.5],
      beta: [0.1, 0.1],
      shrink: [0, 0.5],
    });
    expect(read({ tau: [5, 1], beta: 1e-2, keep: 40 })).toEqual({
      tau: [5, 1],
      beta: [0.01, 0.01],
      keep: "40",
    });
  });

  test("says what was expected and what was found", () => {
    expect(problem({ epochs: 0 })).toMatchInlineSnapshot(
      `"epochs: expected a whole number of at least 1, got 0"`,
    );
    expect(problem({ epochs: 1.5 })).toMatchInlineSnapshot(
      `"epochs: expected a whole number of at least 1, got 1.5"`,
    );
    expect(problem({ epochs: "many" })).toMatchInlineSnapshot(
      `"epochs: expected a whole number of at least 1, got "many""`,
    );
    expect(problem({ lr: Number.NaN })).toMatchInlineSnapshot(`"lr: expected a number above 0, got NaN"`);
    expect(problem({ lr: Infinity })).toMatchInlineSnapshot(`"lr: expected a number above 0, got Infinity"`);
    expect(problem({ lr: -0.1 })).toMatchInlineSnapshot(`"lr: expected a number above 0, got -0.1"`);
    expect(problem({ "weight-decay": -1 })).toMatchInlineSnapshot(
      `"weight-decay: expected a number of at least 0, got -1"`,
    );
    expect(problem({ momentum: 1 })).toMatchInlineSnapshot(
      `"momentum: expected a number of at least 0 and below 1, got 1"`,
    );
    expect(problem({ seed: -1 })).toMatchInlineSnapshot(
      `"seed: expected a whole number of at least 0, got -1"`,
    );
    expect(problem({ tau: "5" })).toMatchInlineSnapshot(
      `"tau: expected A:B, two temperatures of at least 0.01, got "5""`,
    );
    expect(problem({ tau: "5:0" })).toMatchInlineSnapshot(
      `"tau: expected A:B, two temperatures of at least 0.01, got "5:0""`,
    );
    expect(problem({ tau: "5:a" })).toMatchInlineSnapshot(
      `"tau: expected A:B, two temperatures of at least 0.01, got "5:a""`,
    );
    expect(problem({ tau: [5, 1, 1] })).toMatchInlineSnapshot(
      `"tau: expected A:B, two temperatures of at least 0.01, got [5,1,1]"`,
    );
    expect(problem({ beta: "1:2:3" })).toMatchInlineSnapshot(
      `"beta: expected A or A:B, noise scales of at least 0, got "1:2:3""`,
    );
    expect(problem({ shrink: "0.5:0.2" })).toMatchInlineSnapshot(
      `"shrink: expected A:B, two shares of training, 0 <= A <= B <= 1, got "0.5:0.2""`,
    );
    expect(problem({ schedule: "cosinus" })).toMatchInlineSnapshot(
      `"schedule: expected constant, cosine, linear or step, got "cosinus""`,
    );
    expect(problem({ provider: "gpu" })).toMatchInlineSnapshot(
      `"provider: expected cpu, wasm, webgpu or cuda, got "gpu""`,
    );
    expect(problem({ optimizer: "adamw" })).toMatchInlineSnapshot(
      `"optimizer: expected adam, sgd, or an object with kind, lr and others, got "adamw""`,
    );
    expect(problem({ "logit-optimizer": { kind: "sgd" } })).toMatchInlineSnapshot(
      `"logit-optimizer.lr: expected a number above 0, got nothing"`,
    );
    expect(problem({ prune: "fc1=weights:40" })).toMatchInlineSnapshot(
      `"prune: expected a list of prune specs, got "fc1=weights:40""`,
    );
    expect(problem({ prune: ["fc1=weights:40", 3] })).toMatchInlineSnapshot(
      `"prune.1: expected a prune spec such as fc1=weights:40, got 3"`,
    );
    expect(problem({ keep: true })).toMatchInlineSnapshot(
      `"keep: expected an amount: 40, 5% or 2:4, got true"`,
    );
    expect(problem({ epoch: 3 })).toMatchInlineSnapshot(`"epoch: unknown key "epoch""`);
    expect(problem([])).toMatchInlineSnapshot(`": Invalid input: expected object, received array, got []"`);
  });

  test("takes anything without throwing", () => {
    fc.assert(fc.property(fc.anything(), (value) => void checkConfig(value)));
    const key = fc.constantFrom("tau", "beta", "lr", "prune", "optimizer", "keep", "shrink", "seed");
    fc.assert(fc.property(key, fc.anything(), (key, value) => void checkConfig({ [key]: value })));
  });
});

describe("optionsOf and configOf", () => {
  test("an empty config is all defaults", () => {
    const config = configOf(optionsOf({ threads: 2 }));
    expect(config).toMatchInlineSnapshot(`
      {
        "batch": 64,
        "batch-norm": "train",
        "beta": [
          0.1,
          0.1,
        ],
        "entropy": 0,
        "epochs": 20,
        "init": "normal",
        "logit-lr": 0.03,
        "lr": 0.002,
        "method": "dpp",
        "optimizer": "adam",
        "provider": "cpu",
        "prune": [],
        "recalibrate": 100,
        "schedule": "cosine",
        "seed": 1,
        "shrink": [
          0,
          0,
        ],
        "tau": [
          5,
          0.5,
        ],
        "threads": 2,
        "warmup": 0,
        "weight-decay": 0,
      }
    `);
    expect(configOf(optionsOf(config))).toEqual(config);
  });

  test("everything survives the way there and back", () => {
    const config = {
      prune: ["fc*=weights:40,share:2", "fc3=none", "fc*=weights:7"],
      keep: "5%",
      method: "dpp" as const,
      epochs: 3,
      batch: 32,
      optimizer: "sgd" as const,
      lr: 0.1,
      momentum: 0.9,
      "weight-decay": 1e-4,
      schedule: "step" as const,
      warmup: 0.05,
      "logit-lr": 0.01,
      tau: [1, 0.1] as const,
      beta: [1, 0] as const,
      entropy: 5e-5,
      init: "magnitude" as const,
      shrink: [0.1, 0.5] as const,
      "batch-norm": "frozen" as const,
      recalibrate: 20,
      distill: [0.5, 4] as const,
      seed: 7,
      threads: 1,
      provider: "wasm" as const,
      limit: 100,
    };
    expect(configOf(optionsOf(config))).toEqual({ ...config, prune: ["fc3=none", "fc*=weights:7"] });
  });

  test("a budget survives, whichever way it is written", () => {
    const how = { granularity: "kernels", allocation: "uniform", round: 8 } as const;
    const there = configOf(optionsOf({ budget: "10%", ...how }));
    expect(there).toMatchObject({ budget: "10x", ...how });
    expect(configOf(optionsOf(there))).toEqual(there);
    const macs = configOf(optionsOf({ macs: "30%" }));
    expect(macs).toMatchObject({ macs: "30%", granularity: "weights", allocation: "erk", round: 1 });
    expect(configOf(optionsOf(macs))).toEqual(macs);
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 100, noNaN: true }), (percent) => {
        const config = configOf(optionsOf({ budget: `${percent.toFixed(4)}%` }));
        expect(configOf(optionsOf(config))).toEqual(config);
      }),
    );
  });

  test("a run has one budget, and says how it chooses only if it has one", () => {
    expect(() => optionsOf({ budget: "10x", macs: "30%" })).toThrowErrorMatchingInlineSnapshot(
      `[InputError: budget "10x" of weights and macs "30%": a run has one budget. Leave one of them out.]`,
    );
    expect(() => optionsOf({ round: 8 })).toThrowErrorMatchingInlineSnapshot(
      `[InputError: round says how a budget chooses, and there is none. Give one (--budget 10x or --macs 30%), or leave round out.]`,
    );
    expect(() => optionsOf({ macs: "0.3" })).toThrowErrorMatchingInlineSnapshot(
      `[InputError: macs "0.3": expected how many times less is kept (10x; at least 1x) or the share that is kept (10%; above 0 %, at most 100 %), got "0.3".]`,
    );
    expect(problem({ granularity: "maps", allocation: "ERK" })).toMatchInlineSnapshot(
      `"allocation: expected erk or uniform, got "ERK""`,
    );
    expect(problem({ granularity: "filters" })).toMatchInlineSnapshot(
      `"granularity: expected weights, kernels or maps, got "filters""`,
    );
  });

  test("optimizers that flags can't say are kept whole", () => {
    const optimizer = { kind: "sgd", lr: 0.1, nesterov: true, momentum: 0.9 } as const;
    const logits = { kind: "adam", lr: 0.01, beta1: 0.5 } as const;
    const config = configOf({ optimizer, sampler: { optimizer: logits }, prune: { fc1: weights({ k: 3 }) } });
    expect(config).toMatchObject({ optimizer, "logit-optimizer": logits, prune: ["fc1=weights:3"] });
    expect(config).not.toHaveProperty("lr");
    const checked = checkConfig(JSON.parse(JSON.stringify(config)));
    expect(checked).toEqual({ config });
    expect(configOf(optionsOf(config))).toEqual(config);
  });

  test("the command line's fields go into an optimizer object", () => {
    const base = { kind: "sgd", lr: 0.1, nesterov: true } as const;
    expect(optionsOf({ optimizer: base, lr: 0.2, momentum: 0.5 }).optimizer).toEqual({
      ...base,
      lr: 0.2,
      momentum: 0.5,
    });
  });

  test("momentum needs SGD", () => {
    expect(() => optionsOf({ momentum: 0.9 })).toThrowErrorMatchingInlineSnapshot(
      `[InputError: momentum 0.9 goes with the optimizer sgd, and this run has adam. Choose sgd (--optimizer sgd) or leave momentum out.]`,
    );
    expect(() => optionsOf({ momentum: 0.9 })).toThrow(InputError);
  });
});

test("readNumber reads decimal numbers alone", () => {
  expect(["1", "-2.5", ".5", "1e-3", " 7 "].map(readNumber)).toEqual([1, -2.5, 0.5, 1e-3, 7]);
  for (const text of ["", "0x10", "1_000", "NaN", "Infinity", "1,5", "1e", "--1"])
    expect(readNumber(text)).toBe(text);
});
