/** The networks of the zoo, pruned in all ways, against onnxruntime. */

import { describe, expect, it } from "vitest";
import { load } from "../src/load.js";
import { caseNames, caseOf, largestError, TOLERANCE } from "./support/cases.js";

describe.each(caseNames())("%s", (name) => {
  it("gives what onnxruntime gives for the masked model", { timeout: 600_000 }, async () => {
    const { file, input, expected } = await caseOf(name, name.startsWith("lenet") ? 41 : 1);
    const net = await load(file);
    expect(largestError(net.run(input), expected)).toBeLessThan(TOLERANCE);
  });
});
