/** Straight-through gradients of fake quantizers: each is an operator of the dialect, which says what it is. */

import type { RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

function throughQuantizer(op: "FakeQuantizeGrad" | "FakeBinarizeGrad"): (context: RuleContext) => Grads {
  return ({ b, node, inputs: [x, scale], dY, gradName }) =>
    b.ops(op, [dY, x, scale], Object.fromEntries(node.attributes), [gradName(0), gradName(1)]);
}

export const fakeQuantize = throughQuantizer("FakeQuantizeGrad");
export const fakeBinarize = throughQuantizer("FakeBinarizeGrad");
