/** The networks of the zoo, pruned in all ways, against onnxruntime. */

import { beforeAll, describe, expect, test } from "vitest";
import { type Case, caseNames, caseOf, largestError, TOLERANCE } from "./support/cases.js";
import { hostsOfFile } from "./support/hosts.js";

const hosts = hostsOfFile();

describe.each(caseNames())("%s", (name) => {
  let one: Case;

  beforeAll(async () => {
    one = await caseOf(name, name.startsWith("lenet") ? 41 : 1);
  }, 600_000);

  for (const host of hosts) {
    const title = `gives in ${host.name} what onnxruntime gives for the masked model`;
    test(title, { timeout: 600_000 }, async () => {
      const results = await host.call(
        async ({ load }, { file, input }) => (await load(file)).run(input),
        one,
      );
      expect(largestError(results, one.expected)).toBeLessThan(TOLERANCE);
    });
  }
});
