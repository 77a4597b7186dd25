/** The grammar of prune specs, their meaning for layers, and every message about what is wrong with one. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import type { PrunableLayer } from "../../src/layers/types.js";
import {
  formatRule,
  kernels,
  maps,
  parseAmount,
  parsePrune,
  resolvePrune,
  weights,
} from "../../src/prune/spec.js";
import type { PruneRule, PruneSpec } from "../../src/prune/types.js";

const layer = (name: string, dims: number[], transposed = false): PrunableLayer => ({
  name,
  weight: `${name}.weight`,
  bias: `${name}.bias`,
  dims,
  transposed,
});

/** LeNet-5 with one fully connected layer stored [in, out]. */
const LENET5 = [
  layer("conv1", [20, 1, 5, 5]),
  layer("conv2", [50, 20, 5, 5]),
  layer("fc1", [800, 500], true),
  layer("fc2", [10, 500]),
];

/** The message of the InputError that a function throws. */
function complaint(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const parsed = (text: string): string => complaint(() => parsePrune(text));
const spec = (...texts: string[]): PruneSpec =>
  new Map(
    texts.map((text) => {
      const { pattern, rule } = parsePrune(text);
      return [pattern, rule];
    }),
  );
const resolved = (...texts: string[]): string => complaint(() => resolvePrune(LENET5, spec(...texts)));
/** The groups, n and k of each layer that the specs prune. */
const shape = (...texts: string[]): string[] =>
  resolvePrune(LENET5, spec(...texts)).map((l) => `${l.name}: ${l.groups} groups, ${l.k} of ${l.n}`);

describe("parsePrune", () => {
  test.each<[string, string, PruneRule | "none"]>([
    ["fc1=weights:40", "fc1", { granularity: "weights", amount: { k: 40 } }],
    ["fc1=weights:5%", "fc1", { granularity: "weights", amount: { keep: 0.05 } }],
    ["fc1=weights:0.5%", "fc1", { granularity: "weights", amount: { keep: 0.005 } }],
    ["fc1=weights:.5%", "fc1", { granularity: "weights", amount: { keep: 0.005 } }],
    ["*=weights:2:4", "*", { granularity: "weights", amount: { tile: [2, 4] } }],
    ["conv*=kernels:25%", "conv*", { granularity: "kernels", amount: { keep: 0.25 } }],
    ["layer3.*=maps:50%", "layer3.*", { granularity: "maps", amount: { keep: 0.5 } }],
    ["c=weights:3,per:kernel", "c", { granularity: "weights", amount: { k: 3 }, per: "kernel" }],
    ["c=weights:3,share:4", "c", { granularity: "weights", amount: { k: 3 }, share: 4 }],
    [
      "c=weights:3,share:4,per:kernel",
      "c",
      { granularity: "weights", amount: { k: 3 }, per: "kernel", share: 4 },
    ],
    ["c=kernels:3,share:2", "c", { granularity: "kernels", amount: { k: 3 }, share: 2 }],
    ["fc2=none", "fc2", "none"],
    ["/a=b/MatMul=weights:1", "/a=b/MatMul", { granularity: "weights", amount: { k: 1 } }],
    [" fc1 = weights:40 , share:2 ", "fc1", { granularity: "weights", amount: { k: 40 }, share: 2 }],
  ])("%s", (text, pattern, rule) => {
    expect(parsePrune(text)).toEqual({ pattern, rule });
  });

  test("reads what formatRule writes", () => {
    const share = fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined });
    const amount = fc.oneof(
      fc.integer({ min: 1, max: 1e6 }).map((k) => ({ k })),
      fc.integer({ min: 1, max: 100_000 }).map((share) => ({ keep: share / 100_000 })),
    );
    const tile = fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 64, max: 128 }));
    const rule = fc.oneof(
      fc
        .record({ amount, share, per: fc.constantFrom("kernel" as const, undefined) })
        .map(({ amount, share, per }) =>
          weights({
            ...amount,
            ...(share === undefined ? {} : { share }),
            ...(per === undefined ? {} : { per }),
          }),
        ),
      tile.map((tile) => weights({ tile })),
      amount.map((amount) => kernels(amount)),
      amount.map((amount) => maps(amount)),
      fc.constant("none" as const),
    );
    fc.assert(
      fc.property(rule, (rule) => {
        const again = parsePrune(`x=${formatRule(rule)}`).rule;
        expect(formatRule(again)).toBe(formatRule(rule));
        if (rule === "none" || again === "none") return;
        const { amount, ...rest } = rule;
        const { amount: amountAgain, ...restAgain } = again;
        expect(restAgain).toEqual(rest);
        if ("keep" in amount && "keep" in amountAgain) expect(amountAgain.keep).toBeCloseTo(amount.keep, 14);
        else expect(amountAgain).toEqual(amount);
      }),
    );
  });

  test("never throws anything but an InputError, whatever the text", () => {
    const piece = fc.constantFrom(
      ...["=", ":", ",", "%", "*", "0", "4", "12", ".", "-"],
      "weights",
      "maps",
      "none",
      "per",
      "kernel",
      "share",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join("")),
        ),
        (text) => {
          try {
            const { pattern, rule } = parsePrune(text);
            expect(pattern).not.toBe("");
            expect(parsePrune(`${pattern}=${formatRule(rule)}`)).toEqual({ pattern, rule });
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("says what is wrong with the form", () => {
    expect(parsed("fc1")).toMatchInlineSnapshot(
      `"prune spec "fc1": expected LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...], such as fc1=weights:40, or LAYER=none."`,
    );
    expect(parsed("=weights:40")).toMatchInlineSnapshot(
      `"prune spec "=weights:40": expected LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...], such as fc1=weights:40, or LAYER=none."`,
    );
    expect(parsed("fc1=")).toMatchInlineSnapshot(
      `"prune spec "fc1=": expected LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...], such as fc1=weights:40, or LAYER=none."`,
    );
    expect(parsed("fc1=neurons:40")).toMatchInlineSnapshot(
      `"prune spec "fc1=neurons:40": unknown granularity "neurons". Expected weights, kernels, maps or none, as in LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...], such as fc1=weights:40, or LAYER=none."`,
    );
    expect(parsed("fc1=weights")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights": "weights" needs an amount: a count (40), a percentage (5%), or k of every n consecutive weights (2:4)."`,
    );
    expect(parsed("fc1=weights:")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:": expected a count (40), a percentage (5%), or k of every n consecutive weights (2:4), got ""."`,
    );
    expect(parsed("fc1=none,share:2")).toMatchInlineSnapshot(
      `"prune spec "fc1=none,share:2": "none" takes no options, got "share:2"."`,
    );
  });

  test("says what is wrong with the amount", () => {
    expect(parsed("fc1=weights:forty")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:forty": expected a count (40), a percentage (5%), or k of every n consecutive weights (2:4), got "forty"."`,
    );
    expect(parsed("fc1=weights:0.05")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:0.05": expected a count (40), a percentage (5%), or k of every n consecutive weights (2:4), got "0.05". For a fraction write a percentage: 5%."`,
    );
    expect(parsed("fc1=weights:0")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:0": k = 0 would keep nothing. The smallest k is 1."`,
    );
    expect(parsed("fc1=weights:-3")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:-3": k is a whole number above 0, got -3."`,
    );
    expect(parsed("fc1=weights:99999999999999999999")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:99999999999999999999": k is a whole number above 0, got 100000000000000000000."`,
    );
    expect(parsed("fc1=weights:0%")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:0%": expected a share above 0 % and at most 100 %, got 0%."`,
    );
    expect(parsed("fc1=weights:-5%")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:-5%": expected a share above 0 % and at most 100 %, got -5%."`,
    );
    expect(parsed("fc1=weights:101%")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:101%": expected a share above 0 % and at most 100 %, got 101%."`,
    );
    expect(parsed("fc1=weights:4:2")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:4:2": k = 4 is more than n = 2. Tiles are written k:n."`,
    );
    expect(parsed("fc1=weights:0:4")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:0:4": k = 0 would keep nothing. The smallest k is 1."`,
    );
    expect(parsed("fc1=weights:2:4:8")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:2:4:8": expected a count (40), a percentage (5%), or k of every n consecutive weights (2:4), got "2:4:8"."`,
    );
    expect(parsed("conv1=kernels:2:4")).toMatchInlineSnapshot(
      `"prune spec "conv1=kernels:2:4": 2:4 tiles are of single weights. Use granularity weights, or a count or a percentage of the kernels."`,
    );
    expect(complaint(() => parseAmount("many", "--keep"))).toMatchInlineSnapshot(
      `"--keep: expected a count (40), a percentage (5%), or k of every n consecutive weights (2:4), got "many"."`,
    );
  });

  test("says what is wrong with the options", () => {
    expect(parsed("fc1=weights:40,size:3")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,size:3": unknown option "size:3". Options: per:kernel, share:COUNT."`,
    );
    expect(parsed("fc1=weights:40,")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,": unknown option "". Options: per:kernel, share:COUNT."`,
    );
    expect(parsed("fc1=weights:40,per:row")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,per:row": option "per" takes "kernel" alone (per:kernel), got "row"."`,
    );
    expect(parsed("fc1=weights:40,share")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,share": option "share" takes a number of output channels (share:4), got ""."`,
    );
    expect(parsed("fc1=weights:40,share:0")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,share:0": share is a number of output channels, at least 1, got 0."`,
    );
    expect(parsed("fc1=weights:40,share:2,share:2")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:40,share:2,share:2": option "share" is given twice."`,
    );
    expect(parsed("conv1=kernels:3,per:kernel")).toMatchInlineSnapshot(
      `"prune spec "conv1=kernels:3,per:kernel": per:kernel goes with granularity weights, not with kernels."`,
    );
    expect(parsed("conv1=maps:3,share:2")).toMatchInlineSnapshot(
      `"prune spec "conv1=maps:3,share:2": share goes with weights and kernels, where output channels have masks to share; with maps the channels themselves are kept or removed."`,
    );
    expect(parsed("conv1=weights:2:4,per:kernel")).toMatchInlineSnapshot(
      `"prune spec "conv1=weights:2:4,per:kernel": per:kernel does not go with tiles, which are groups already. Leave one out."`,
    );
  });
});

describe("constructors", () => {
  test("make the rules that the command line makes", () => {
    expect(weights({ k: 40 })).toEqual(parsePrune("x=weights:40").rule);
    expect(weights({ tile: [2, 4], share: 2 })).toEqual(parsePrune("x=weights:2:4,share:2").rule);
    expect(weights({ k: 3, per: "kernel" })).toEqual(parsePrune("x=weights:3,per:kernel").rule);
    expect(kernels({ keep: 0.25 })).toEqual(parsePrune("x=kernels:25%").rule);
    expect(maps({ k: 24 })).toEqual(parsePrune("x=maps:24").rule);
  });

  test("say what is wrong", () => {
    expect(complaint(() => weights({ k: 0 }))).toMatchInlineSnapshot(
      `"weights({"k":0}): k = 0 would keep nothing. The smallest k is 1."`,
    );
    expect(complaint(() => weights({ k: 1.5 }))).toMatchInlineSnapshot(
      `"weights({"k":1.5}): k is a whole number above 0, got 1.5."`,
    );
    expect(complaint(() => weights({ k: 1, keep: 0.5 }))).toMatchInlineSnapshot(
      `"weights({"k":1,"keep":0.5}): give exactly one of k, keep and tile."`,
    );
    expect(complaint(() => kernels({ keep: Number.NaN }))).toMatchInlineSnapshot(
      `"kernels({"keep":null}): expected a share above 0 % and at most 100 %, got NaN%."`,
    );
    expect(complaint(() => kernels({ keep: 25 }))).toMatchInlineSnapshot(
      `"kernels({"keep":25}): expected a share above 0 % and at most 100 %, got 2500%."`,
    );
    expect(complaint(() => maps({ keep: 0 }))).toMatchInlineSnapshot(
      `"maps({"keep":0}): expected a share above 0 % and at most 100 %, got 0%."`,
    );
  });
});

describe("resolvePrune", () => {
  test("groups and n of every granularity", () => {
    expect(shape("conv2=weights:50")).toEqual(["conv2: 50 groups, 50 of 500"]);
    expect(shape("conv2=weights:3,per:kernel")).toEqual(["conv2: 1000 groups, 3 of 25"]);
    expect(shape("conv2=weights:2:4")).toEqual(["conv2: 6250 groups, 2 of 4"]);
    expect(shape("conv2=kernels:25%")).toEqual(["conv2: 50 groups, 5 of 20"]);
    expect(shape("conv2=maps:24")).toEqual(["conv2: 1 groups, 24 of 50"]);
    expect(shape("fc1=weights:32")).toEqual(["fc1: 500 groups, 32 of 800"]);
    expect(shape("fc1=maps:50%")).toEqual(["fc1: 1 groups, 250 of 500"]);
    expect(shape("fc2=weights:1:5")).toEqual(["fc2: 1000 groups, 1 of 5"]);
  });

  test("share divides the number of groups", () => {
    expect(shape("conv2=weights:50,share:5")).toEqual(["conv2: 10 groups, 50 of 500"]);
    expect(shape("conv2=weights:3,per:kernel,share:5")).toEqual(["conv2: 200 groups, 3 of 25"]);
    expect(shape("conv2=weights:2:4,share:50")).toEqual(["conv2: 125 groups, 2 of 4"]);
    expect(shape("conv2=kernels:5,share:2")).toEqual(["conv2: 25 groups, 5 of 20"]);
    expect(shape("fc1=weights:32,share:4")).toEqual(["fc1: 125 groups, 32 of 800"]);
  });

  test("a grouped convolution counts its own inputs per output channel, and a 1-D kernel is a kernel", () => {
    const layers = [layer("depthwise", [32, 1, 3, 3]), layer("grouped", [32, 8, 7]), layer("fc", [10, 32])];
    expect(
      resolvePrune(layers, spec("depthwise=weights:3", "grouped=kernels:2")).map((l) => [l.groups, l.k, l.n]),
    ).toEqual([
      [32, 3, 9],
      [32, 2, 8],
    ]);
  });

  test("percentages go to the nearest whole number, at least 1, and k may be n", () => {
    expect(shape("fc1=weights:5%")).toEqual(["fc1: 500 groups, 40 of 800"]);
    expect(shape("fc1=weights:0.0001%")).toEqual(["fc1: 500 groups, 1 of 800"]);
    expect(shape("conv2=weights:30%,per:kernel")).toEqual(["conv2: 1000 groups, 8 of 25"]);
    expect(shape("fc1=weights:100%", "conv2=kernels:20")).toEqual([
      "conv2: 50 groups, 20 of 20",
      "fc1: 500 groups, 800 of 800",
    ]);
  });

  test("later entries win, and the result is in the order of the layers", () => {
    expect(shape("*=weights:3", "conv*=weights:4", "conv2=none")).toEqual([
      "conv1: 20 groups, 4 of 25",
      "fc1: 500 groups, 3 of 800",
      "fc2: 10 groups, 3 of 500",
    ]);
    expect(shape("conv2=none", "*=weights:3")).toHaveLength(4);
  });

  test("a rule that a later one replaces need not fit", () => {
    expect(shape("*=kernels:1", "fc?=weights:7")).toEqual([
      "conv1: 20 groups, 1 of 1",
      "conv2: 50 groups, 1 of 20",
      "fc1: 500 groups, 7 of 800",
      "fc2: 10 groups, 7 of 500",
    ]);
  });

  test("a Map keeps the order of patterns that are whole numbers", () => {
    const layers = [layer("0", [4, 4]), layer("2", [4, 4])];
    expect(resolvePrune(layers, spec("*=weights:1", "0=none")).map((l) => l.name)).toEqual(["2"]);
  });

  test("globs match whole names", () => {
    const names = ["layer3.0.conv1", "layer3.1.conv2", "layer33.0.conv1", "fc"];
    const layers = names.map((name) => layer(name, [4, 4]));
    const matching = (pattern: string): string[] =>
      resolvePrune(layers, { [pattern]: weights({ k: 1 }) }).map((l) => l.name);
    expect(matching("layer3.*")).toEqual(names.slice(0, 2));
    expect(matching("layer3*")).toEqual(names.slice(0, 3));
    expect(matching("*.conv?")).toEqual(names.slice(0, 3));
    expect(matching("*0*")).toEqual([names[0], names[2]]);
    expect(matching("fc**")).toEqual(["fc"]);
    expect(complaint(() => matching("layer3?0?conv"))).toContain("no layer matches");
    expect(complaint(() => matching("fc?"))).toContain("no layer matches");
  });

  test("a plain name may be that of a module, or of numbered ones", () => {
    const names = ["layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer10.0.conv1", "layerx", "fc"];
    const layers = [...names, "head.1", "head.2"].map((name) => layer(name, [4, 4]));
    const matching = (pattern: string): string[] =>
      resolvePrune(layers, { [pattern]: weights({ k: 1 }) }).map((l) => l.name);
    expect(matching("layer1")).toEqual(names.slice(0, 2));
    expect(matching("layer1.1")).toEqual(["layer1.1.conv1"]);
    expect(matching("layer")).toEqual(names.slice(0, 4));
    expect(matching("fc")).toEqual(["fc"]);
    expect(matching("head")).toEqual(["head.1", "head.2"]);
    expect(matching("layer1.0.conv")).toEqual(["layer1.0.conv1"]);
    for (const pattern of ["lay", "layer3", "layer10.1", "head.", "f", "layer1.", "*.conv", "layer1?0"]) {
      expect(complaint(() => matching(pattern))).toContain("no layer matches");
    }
  });

  test("globs agree with regular expressions", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "."), minLength: 1, maxLength: 8 });
    const glob = fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "?"), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(name, glob, (name, glob) => {
        const expression = glob.replaceAll(".", "\\.").replaceAll("?", ".").replaceAll("*", ".*");
        const isModule = !/[*?]/.test(glob) && name.startsWith(`${glob}.`);
        const expected = isModule || new RegExp(`^${expression}$`).test(name);
        const layers = [layer(name, [4, 4]), layer("last layer", [4, 4])];
        let matched = false;
        try {
          matched = resolvePrune(layers, new Map([[glob, weights({ k: 1 })]])).some((l) => l.name === name);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
        expect(matched).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("a glob with many stars takes no time", () => {
    const layers = [layer("a".repeat(2000), [4, 4])];
    const start = performance.now();
    complaint(() => resolvePrune(layers, { ["*a".repeat(200) + "b"]: weights({ k: 1 }) }));
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("keep is for all layers but the last, and rules win over it", () => {
    expect(resolvePrune(LENET5, {}, { keep: 0.1 }).map((l) => [l.name, l.granularity, l.k])).toEqual([
      ["conv1", "weights", 3],
      ["conv2", "weights", 50],
      ["fc1", "weights", 80],
    ]);
    expect(
      resolvePrune(LENET5, spec("conv1=none", "fc2=weights:9"), { k: 5 }).map((l) => [l.name, l.k]),
    ).toEqual([
      ["conv2", 5],
      ["fc1", 5],
      ["fc2", 9],
    ]);
  });

  test("keep the layer's fields", () => {
    expect(resolvePrune(LENET5, spec("fc1=weights:40,share:2"))).toEqual([
      { ...LENET5[2], granularity: "weights", share: 2, groups: 250, n: 800, k: 40 },
    ]);
  });

  test("says what does not fit", () => {
    expect(resolved("fc9=weights:40")).toMatchInlineSnapshot(
      `"prune spec "fc9=weights:40": no layer matches "fc9". Layers: conv1, conv2, fc1, fc2."`,
    );
    expect(resolved("fc9=none")).toMatchInlineSnapshot(
      `"prune spec "fc9=none": no layer matches "fc9". Layers: conv1, conv2, fc1, fc2."`,
    );
    expect(resolved("fc1=weights:801")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:801": layer "fc1" (weight [800, 500]) has 800 weights per output channel, fewer than k = 801."`,
    );
    expect(resolved("conv2=weights:26,per:kernel")).toMatchInlineSnapshot(
      `"prune spec "conv2=weights:26,per:kernel": layer "conv2" (weight [50, 20, 5, 5]) has 25 weights per kernel, fewer than k = 26."`,
    );
    expect(resolved("conv2=kernels:21")).toMatchInlineSnapshot(
      `"prune spec "conv2=kernels:21": layer "conv2" (weight [50, 20, 5, 5]) has 20 kernels per output channel, fewer than k = 21."`,
    );
    expect(resolved("conv2=maps:51")).toMatchInlineSnapshot(
      `"prune spec "conv2=maps:51": layer "conv2" (weight [50, 20, 5, 5]) has 50 output channels, fewer than k = 51."`,
    );
    expect(resolved("conv1=weights:2:4")).toMatchInlineSnapshot(
      `"prune spec "conv1=weights:2:4": layer "conv1" (weight [20, 1, 5, 5]) has 25 weights per output channel, which tiles of 4 do not divide."`,
    );
    expect(resolved("conv2=weights:50,share:4")).toMatchInlineSnapshot(
      `"prune spec "conv2=weights:50,share:4": layer "conv2" (weight [50, 20, 5, 5]) has 50 output channels, which share:4 does not divide."`,
    );
    expect(resolved("*=kernels:100%")).toMatchInlineSnapshot(
      `"prune spec "*=kernels:100%": layer "fc1" (weight [800, 500]) is a matrix and has no kernels. Use weights or maps for it, or a pattern that leaves it out."`,
    );
    expect(resolved("fc1=weights:5,per:kernel")).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:5,per:kernel": layer "fc1" (weight [800, 500]) is a matrix and has no kernels. Use weights without per:kernel for it, or a pattern that leaves it out."`,
    );
    expect(resolved("fc2=maps:5")).toMatchInlineSnapshot(
      `"prune spec "fc2=maps:5": layer "fc2" (weight [10, 500]) is the last one, and its maps are the model's outputs: removing some would remove classes. Use weights for it, or a pattern that leaves it out."`,
    );
    expect(resolved("*=maps:50%")).toMatchInlineSnapshot(
      `"prune spec "*=maps:50%": layer "fc2" (weight [10, 500]) is the last one, and its maps are the model's outputs: removing some would remove classes. Use weights for it, or a pattern that leaves it out."`,
    );
  });

  test("says what does not fit about keep, and about models with few or many layers", () => {
    expect(complaint(() => resolvePrune(LENET5, {}, { k: 30 }))).toMatchInlineSnapshot(
      `"keep 30: layer "conv1" (weight [20, 1, 5, 5]) has 25 weights per output channel, fewer than k = 30."`,
    );
    expect(complaint(() => resolvePrune(LENET5, {}, { keep: 1.5 }))).toMatchInlineSnapshot(
      `"keep 150%: expected a share above 0 % and at most 100 %, got 150%."`,
    );
    expect(complaint(() => resolvePrune(LENET5.slice(3), {}, { k: 3 }))).toMatchInlineSnapshot(
      `"keep 3: applies to all layers but the last, and the model has no layer besides "fc2". Name what to prune in a prune spec."`,
    );
    expect(complaint(() => resolvePrune([], {}, { k: 3 }))).toMatchInlineSnapshot(
      `"keep 3: applies to all layers but the last, and the model has no prunable layer. Name what to prune in a prune spec."`,
    );
    expect(complaint(() => resolvePrune([], spec("a=weights:3")))).toMatchInlineSnapshot(
      `"prune spec "a=weights:3": no layer matches "a". The model has no layer that can be pruned."`,
    );
    const many = Array.from({ length: 40 }, (_, i) => layer(`l${i}`, [4, 4]));
    expect(complaint(() => resolvePrune(many, spec("a=weights:3")))).toMatchInlineSnapshot(
      `"prune spec "a=weights:3": no layer matches "a". Layers: l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15, l16, l17, l18, l19, l20, l21, l22, l23, l24, l25, l26, l27, l28, l29, and 10 more."`,
    );
  });

  test("checks rules that no constructor made", () => {
    const rule: PruneRule = { granularity: "weights", amount: { k: 2 }, share: 0 };
    expect(complaint(() => resolvePrune(LENET5, { fc1: rule }))).toMatchInlineSnapshot(
      `"prune spec "fc1=weights:2,share:0": share is a number of output channels, at least 1, got 0."`,
    );
  });
});
