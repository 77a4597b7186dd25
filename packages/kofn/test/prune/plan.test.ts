/** What specs for maps mean where layers are coupled. */

import { expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { lenet5 } from "../../src/models/lenet.js";
import { mobilenetV2 } from "../../src/models/mobilenet.js";
import { resnet20 } from "../../src/models/resnet.js";
import { planPrune } from "../../src/prune/plan.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { int } from "../../src/onnx/model.js";
import { Net } from "./structure/networks.js";

const RESNET = resnet20().graph;

const planned = (spec: PruneSpec, graph = RESNET): string[] =>
  planPrune(graph, spec).map(
    ({ k, n, set, name }) =>
      `${set?.layers.map(({ layer }) => layer.name).join(" + ") ?? name}: ${k} of ${n}`,
  );

function complaint(spec: PruneSpec, graph = RESNET): string {
  try {
    planPrune(graph, spec);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("a glob takes whole coupled sets, also what lies outside of it", () => {
  expect(planned({ "layer1*": maps({ keep: 0.5 }) })).toEqual([
    "conv1 + layer1.0.conv2 + layer1.1.conv2 + layer1.2.conv2: 8 of 16",
    "layer1.0.conv1: 8 of 16",
    "layer1.1.conv1: 8 of 16",
    "layer1.2.conv1: 8 of 16",
  ]);
  expect(planned({ "layer3.1.conv1": maps({ k: 9 }), fc: weights({ k: 4 }) })).toEqual([
    "layer3.1.conv1: 9 of 64",
    "fc: 4 of 64",
  ]);
});

test("a module's name takes whole coupled sets as well", () => {
  const sets = planned({ layer: maps({ keep: 0.5 }) });
  expect(sets).toHaveLength(12);
  expect(sets[0]).toBe("conv1 + layer1.0.conv2 + layer1.1.conv2 + layer1.2.conv2: 8 of 16");
});

test("a depthwise convolution and the layers before it are one set", () => {
  const [first] = planned({ "features.2.*": maps({ keep: 0.25 }) }, mobilenetV2().graph);
  expect(first).toMatch(/^features\.\S+ \+ features\.\S+: 24 of 96$/);
});

test("without coupling each layer is alone", () => {
  expect(planned({ "conv*": maps({ k: 7 }), fc1: weights({ k: 5 }) }, lenet5().graph)).toEqual([
    "conv1: 7 of 20",
    "conv2: 7 of 50",
    "fc1: 5 of 800",
  ]);
});

test("what does not go together is named, with the spec to write", () => {
  expect(complaint({ conv1: maps({ k: 4 }) })).toMatchInlineSnapshot(
    `"prune spec "conv1=maps:4": layer "conv1": its maps are coupled with those of layer1.0.conv2, layer1.1.conv2, layer1.2.conv2, and can only be removed together, but "layer1.0.conv2" is not named. Write conv1=maps:4 layer1.0.conv2=maps:4 layer1.1.conv2=maps:4 layer1.2.conv2=maps:4."`,
  );
  expect(
    complaint({ "layer2.*": maps({ keep: 0.5 }), "layer2.1.conv2": kernels({ k: 3 }) }),
  ).toMatchInlineSnapshot(
    `"prune spec "layer2.*=maps:50%": layer "layer2.0.conv2": its maps are coupled with those of layer2.0.downsample.0, layer2.1.conv2, layer2.2.conv2, and can only be removed together, but "layer2.1.conv2" is "layer2.1.conv2=kernels:3". Write layer2.0.conv2=maps:50% layer2.0.downsample.0=maps:50% layer2.1.conv2=maps:50% layer2.2.conv2=maps:50%."`,
  );
  expect(
    complaint({ "layer3.*": maps({ keep: 0.5 }), "layer3.0.downsample.0": maps({ k: 7 }) }),
  ).toMatchInlineSnapshot(
    `"prune spec "layer3.*=maps:50%": layer "layer3.0.conv2": its maps are coupled with those of layer3.0.downsample.0, layer3.1.conv2, layer3.2.conv2, and can only be removed together, but "layer3.0.downsample.0" is to keep 7. Write layer3.0.conv2=maps:50% layer3.0.downsample.0=maps:50% layer3.1.conv2=maps:50% layer3.2.conv2=maps:50%."`,
  );
});

test("maps that can't be removed are refused with the node that prevents it", () => {
  const shuffled = new Net(1);
  const a = shuffled.conv(shuffled.input, 8, { name: "a" });
  const five = shuffled.b.reshape(a, [-1, 2, 4, 6, 6], "shuffle");
  const back = shuffled.b.reshape(five, [-1, 8, 6, 6], "back");
  expect(complaint({ a: maps({ k: 4 }) }, shuffled.head(back, false).graph)).toMatchInlineSnapshot(
    `"prune spec "a=maps:4": layer "a": its maps can't be removed: node "shuffle" (Reshape) splits them up or mixes them with others. Prune it by weights or kernels, or leave it out (a=none)."`,
  );

  const shifted = new Net(1);
  const b = shifted.conv(shifted.input, 8, { name: "b" });
  const after = shifted.conv(shifted.b.op("Sigmoid", [b], {}, "gate"), 4, { name: "after" });
  expect(complaint({ b: maps({ k: 4 }) }, shifted.head(after, false).graph)).toMatchInlineSnapshot(
    `"prune spec "b=maps:4": layer "b": its maps can't be removed: node "gate" (Sigmoid) gives 0.5 for a channel that is 0, and node "after" (Conv) reads it. Prune it by weights or kernels, or leave it out (b=none)."`,
  );

  const normalised = new Net(1);
  const c = normalised.conv(normalised.input, 8, { name: "c" });
  const softmax = normalised.b.op("Softmax", [c], { axis: int(1) }, "softmax");
  expect(complaint({ c: maps({ k: 4 }) }, normalised.head(softmax, false).graph)).toMatchInlineSnapshot(
    `"prune spec "c=maps:4": layer "c": its maps can't be removed: node "softmax" (Softmax) normalises over them. Prune it by weights or kernels, or leave it out (c=none)."`,
  );

  const grouped = new Net(1);
  const d = grouped.conv(grouped.conv(grouped.input, 8, { name: "d" }), 6, { group: 2, name: "e" });
  const { graph } = grouped.head(d, false);
  expect(complaint({ d: maps({ k: 3 }) }, graph)).toMatchInlineSnapshot(
    `"prune spec "d=maps:3": layer "d": its maps come 2 at a time (they are coupled across the groups of a convolution), so k must be a multiple of 2, got 3."`,
  );
  expect(planned({ d: maps({ k: 6 }), e: maps({ keep: 0.34 }) }, graph)).toEqual(["d: 3 of 4", "e: 1 of 3"]);
});
