/** Dropout as exporters write it, in all operator sets and modes: import leaves it out, and says where training has it. */

import { describe, expect, test } from "vitest";
import { dropoutsOf } from "../../src/import/dropout.js";
import { importModel } from "../../src/import/import.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, float, type Model, type Node, tensorAttribute } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { modelOf } from "../support/execute.js";

type Ratio = "left out" | "attribute" | "stored" | "constant node";
type Mode = "left out" | "off" | "on";

interface Form {
  readonly opset: number;
  readonly ratio: Ratio;
  readonly mode: Mode;
}

const FORMS: readonly Form[] = [9, 10, 11, 12, 13, 17, 21].flatMap((opset) => {
  const ratios: readonly Ratio[] =
    opset < 12 ? ["left out", "attribute"] : ["left out", "stored", "constant node"];
  const modes: readonly Mode[] = opset < 12 ? ["left out"] : ["left out", "off", "on"];
  return ratios.flatMap((ratio) => modes.map((mode) => ({ opset, ratio, mode })));
});

/** x -> Relu -> the dropouts, one behind the other -> Neg and Abs -> Add. */
function model(form: Form, chain = 1, value = 0.25): Model {
  const b = new Builder(emptyGraph("exported"));
  const type = { dtype: "float32", shape: ["batch", 4] } as const;
  b.graph.inputs.push({ name: "x", type });
  b.graph.valueTypes.set("x", type);
  let last = b.op("Relu", ["x"], {}, "relu");
  const ratio = tensorFrom("float32", [], [value]);
  for (let i = 1; i <= chain; i++) {
    const inputs = [last];
    if (form.ratio === "stored") inputs.push(b.initializer(`ratio${i}`, ratio));
    if (form.ratio === "constant node") {
      const node = { op: "Constant", domain: "", name: "", inputs: [], outputs: [`ratio${i}`] };
      b.push({ ...node, attributes: new Map([["value", tensorAttribute(ratio)]]) });
      inputs.push(`ratio${i}`);
    }
    if (form.mode !== "left out") {
      while (inputs.length < 2) inputs.push("");
      inputs.push(b.initializer(`mode${i}`, tensorFrom("bool", [], [Number(form.mode === "on")])));
    }
    const attributes: Node["attributes"] = new Map(
      form.ratio === "attribute" ? [["ratio", float(value)]] : [],
    );
    last = `drop${i}`;
    b.graph.nodes.push({ op: "Dropout", domain: "", name: last, inputs, outputs: [last], attributes });
    b.graph.valueTypes.set(last, type);
  }
  b.output(b.op("Add", [b.op("Neg", [last], {}, "neg"), b.op("Abs", [last], {}, "abs")], {}, "y"));
  return { ...modelOf(b.graph), opsets: new Map([["", form.opset]]) };
}

const FORM: Form = { opset: 17, ratio: "stored", mode: "on" };
const READERS = [
  { node: "neg", input: 0 },
  { node: "abs", input: 0 },
];

describe("dropoutsOf", () => {
  test.each(FORMS)("operator set $opset, ratio $ratio, training mode $mode", (form) => {
    const exported = model(form);
    expect(importModel(exported).graph.nodes.map(({ op }) => op)).toEqual(["Relu", "Neg", "Abs", "Add"]);
    const ratio = form.ratio === "left out" ? 0.5 : 0.25;
    const [dropout, ...others] = dropoutsOf(exported);
    expect(others).toEqual([]);
    expect(dropout).toEqual({ name: "drop1", tensor: "relu", ratio, readers: READERS });
  });

  test("names the readers of a chain for each of it", () => {
    expect(dropoutsOf(model(FORM, 2))).toEqual([
      { name: "drop1", tensor: "relu", ratio: 0.25, readers: READERS },
      { name: "drop2", tensor: "relu", ratio: 0.25, readers: READERS },
    ]);
  });

  test("knows none of ratio 0, nor in a model without", () => {
    expect(dropoutsOf(model(FORM, 1, 0))).toEqual([]);
    expect(dropoutsOf(model(FORM, 0))).toEqual([]);
  });

  test.each([1, -0.5, 2])("refuses the ratio %d", (ratio) => {
    expect(() => dropoutsOf(model(FORM, 1, ratio))).toThrow(
      `node "drop1" (Dropout): expected a stored ratio of at least 0 and below 1, got ${ratio}; export`,
    );
  });

  test("refuses a ratio that is computed", () => {
    const exported = model(FORM);
    const node = exported.graph.nodes.find(({ op }) => op === "Dropout");
    if (node !== undefined) node.inputs = [node.inputs[0], "x", ...node.inputs.slice(2)];
    expect(() => dropoutsOf(exported)).toThrow(
      'got "x", which is computed; export the model with a constant',
    );
  });
});
