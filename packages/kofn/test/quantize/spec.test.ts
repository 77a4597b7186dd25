/** The grammar of quantize specs, their meaning for layers, and every message about what is wrong with one. */

import { ACTIVATION_FORMATS, WEIGHT_FORMATS } from "@kofn/format/run/words.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import type { PrunableLayer } from "../../src/layers/types.js";
import {
  binary,
  formatQuantizeRule,
  int,
  int8,
  parseQuantize,
  resolveQuantize,
  ternary,
  uint8,
} from "../../src/quantize/spec.js";
import { QUANTIZE_METHODS, type QuantizeRule, type QuantizeSpec } from "../../src/quantize/types.js";

const layer = (name: string, dims: number[]): PrunableLayer => ({
  name,
  weight: `${name}.weight`,
  dims,
  transposed: false,
});

const LENET5 = [
  layer("conv1", [20, 1, 5, 5]),
  layer("conv2", [50, 20, 5, 5]),
  layer("fc1", [500, 800]),
  layer("fc2", [10, 500]),
];

function complaint(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const spec = (...texts: string[]): QuantizeSpec =>
  new Map(texts.map(parseQuantize).map(({ pattern, rule }) => [pattern, rule]));
/** What is quantized how: `LAYER: FORMAT METHOD, reads FORMAT`. */
const meaning = (...texts: string[]): string[] =>
  resolveQuantize(LENET5, spec(...texts)).layers.map(({ layer: { name }, weights, activations }) =>
    [
      `${name}:`,
      ...(weights === undefined ? [] : [weights.format, weights.method]),
      ...(activations === undefined ? [] : ["reads", activations]),
    ].join(" "),
  );

describe("parseQuantize", () => {
  test.each<[string, string, QuantizeRule]>([
    ["*=int8", "*", { format: "int8" }],
    ["fc1 = binary", "fc1", { format: "binary" }],
    ["fc*=int4,method:dpp", "fc*", { format: "int4", method: "dpp" }],
    ["fc1=ternary, method:lsq", "fc1", { format: "ternary", method: "lsq" }],
    ["activations=uint8", "activations", { format: "uint8" }],
    ["activations.conv?=binary", "activations.conv?", { format: "binary" }],
    ["activations=none", "activations", "none"],
    ["a=b=none", "a=b", "none"],
  ])("%s", (text, pattern, rule) => {
    expect(parseQuantize(text)).toEqual({ pattern, rule });
  });

  test("says what is wrong with a spec", () => {
    const wrong = [
      "fc1",
      "=int8",
      "fc1=",
      "fc1=int9",
      "fc1=int1",
      "fc1=uint8",
      "fc1=float",
      "fc1=none,method:lsq",
    ];
    const options = [
      "fc1=int8,bits:4",
      "fc1=int8,method:",
      "fc1=int8,method:lsq,method:dpp",
      "fc1=ternary,method:dpp",
    ];
    const activations = ["activations=int4", "activations=uint8,method:lsq"];
    const messages = [...wrong, ...options, ...activations].map((text) =>
      complaint(() => parseQuantize(text)),
    );
    expect(messages).toMatchInlineSnapshot(`
      [
        "quantize spec "fc1": expected LAYER=FORMAT[,method:NAME], such as fc1=int4, or activations=FORMAT, or LAYER=none.",
        "quantize spec "=int8": expected LAYER=FORMAT[,method:NAME], such as fc1=int4, or activations=FORMAT, or LAYER=none.",
        "quantize spec "fc1=": expected LAYER=FORMAT[,method:NAME], such as fc1=int4, or activations=FORMAT, or LAYER=none.",
        "quantize spec "fc1=int9": unknown format "int9" of weights. Expected binary, ternary, int2, int3, int4, int5, int6, int7, int8 or none. weights have 2 to 8 bits (int2 to int8), or are binary or ternary.",
        "quantize spec "fc1=int1": unknown format "int1" of weights. Expected binary, ternary, int2, int3, int4, int5, int6, int7, int8 or none. weights have 2 to 8 bits (int2 to int8), or are binary or ternary.",
        "quantize spec "fc1=uint8": unknown format "uint8" of weights. Expected binary, ternary, int2, int3, int4, int5, int6, int7, int8 or none. uint8 is for activations (activations=uint8); use int8.",
        "quantize spec "fc1=float": unknown format "float" of weights. Expected binary, ternary, int2, int3, int4, int5, int6, int7, int8 or none.",
        "quantize spec "fc1=none,method:lsq": "none" takes no options, got "method:lsq".",
        "quantize spec "fc1=int8,bits:4": unknown option "bits:4". Options: method:lsq, method:dpp.",
        "quantize spec "fc1=int8,method:": unknown method "". Expected lsq or dpp.",
        "quantize spec "fc1=int8,method:lsq,method:dpp": option "method" is given twice.",
        "quantize spec "fc1=ternary,method:dpp": the method dpp has binary weights and weights of 2 to 8 bits, and no ternary ones. Use ternary with the method lsq, or int2.",
        "quantize spec "activations=int4": unknown format "int4" of activations. Expected uint8, int8, binary or none.",
        "quantize spec "activations=uint8,method:lsq": methods are for weights; the range of activations is always learned.",
      ]
    `);
  });

  test("reads back what formatQuantizeRule writes", () => {
    const method = fc.constantFrom(...QUANTIZE_METHODS);
    const weightRule = fc
      .record({ format: fc.constantFrom(...WEIGHT_FORMATS), method }, { requiredKeys: ["format"] })
      .filter(({ format, method: how }) => format !== "ternary" || how !== "dpp");
    fc.assert(
      fc.property(fc.oneof(weightRule, fc.constant("none" as const)), (rule) => {
        expect(parseQuantize(`fc*=${formatQuantizeRule(rule)}`)).toEqual({ pattern: "fc*", rule });
      }),
    );
    for (const format of ACTIVATION_FORMATS) {
      expect(parseQuantize(`activations=${formatQuantizeRule({ format })}`).rule).toEqual({ format });
    }
  });
});

test("constructors make the rules that specs say", () => {
  expect([binary(), ternary(), int(4), int8(), uint8()]).toEqual(
    ["binary", "ternary", "int4", "int8", "uint8"].map((format) => ({ format })),
  );
  expect(int(2, { method: "dpp" })).toEqual({ format: "int2", method: "dpp" });
  expect(complaint(() => int(9))).toMatchInlineSnapshot(
    `"int(9): weights have 2 to 8 bits (int2 to int8), or are binary or ternary."`,
  );
  expect(complaint(() => ternary({ method: "dpp" }))).toContain("no ternary ones");
});

describe("resolveQuantize", () => {
  test("the later spec wins, layer by layer, weights and activations apart", () => {
    expect(meaning("*=int8", "fc1=binary", "conv1=none", "activations=uint8")).toEqual([
      "conv2: int8 lsq reads uint8",
      "fc1: binary lsq reads uint8",
      "fc2: int8 lsq",
    ]);
    expect(meaning("fc1=binary", "*=int4,method:dpp")).toEqual(LENET5.map(({ name }) => `${name}: int4 dpp`));
    expect(meaning("activations=uint8", "activations.fc1=none", "activations.fc2=int8")).toEqual([
      "conv2: reads uint8",
      "fc2: reads int8",
    ]);
  });

  test("names the layers whose activations are exempt", () => {
    const exempt = (...texts: string[]): readonly string[] => resolveQuantize(LENET5, spec(...texts)).exempt;
    expect(exempt("*=int8")).toEqual([]);
    expect(exempt("activations=uint8")).toEqual(["conv1", "fc2"]);
    expect(exempt("activations=uint8", "activations.fc2=uint8")).toEqual(["conv1"]);
  });

  test("refuses a pattern that names no layer, and rules that the library is given in the wrong place", () => {
    expect(complaint(() => meaning("fc9=int8"))).toMatchInlineSnapshot(
      `"quantize spec "fc9=int8": no layer with weights matches "fc9". Layers: conv1, conv2, fc1, fc2."`,
    );
    expect(complaint(() => meaning("activations.fc9=int8"))).toContain('no layer with weights matches "fc9"');
    expect(complaint(() => resolveQuantize(LENET5, { fc1: uint8() }))).toContain("activations=uint8");
    expect(complaint(() => resolveQuantize(LENET5, { activations: ternary() }))).toContain("of activations");
  });
});
