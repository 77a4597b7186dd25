/** What a quantize spec means for activations that several layers read. */

import { describe, expect, test } from "vitest";
import { planQuantization } from "../../src/quantize/plan.js";
import { uint8 } from "../../src/quantize/spec.js";
import { branchingModel } from "../integers/networks.js";

describe("activations that two layers read", () => {
  const { graph } = branchingModel();

  test("are one where both quantize them", () => {
    const { activations } = planQuantization(graph, {
      "activations.conv1": uint8(),
      "activations.conv2": uint8(),
    });
    expect(activations.map(({ layer, readers }) => [layer, [...readers]])).toEqual([
      ["conv1", ["conv1.weight", "conv2.weight"]],
    ]);
  });

  test("can't be quantized for one of them alone", () => {
    expect(() => planQuantization(graph, { "activations.conv1": uint8() })).toThrow(
      'the layers "conv1" and "conv2" read the same activations, which can\'t be both uint8 and left alone',
    );
  });
});
