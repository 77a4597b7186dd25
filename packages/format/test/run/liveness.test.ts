/** The rule that tells whether a process is there, on machines that are made up. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { birthOf, presenceOf, type System } from "../../src/run/liveness.js";

/** The text of /proc/PID/stat. */
function stat(pid: number, name: string, state: string, born: string): string {
  const between = Array.from({ length: 18 }, (_, i) => String(i));
  return `${pid} (${name}) ${state} ${between.join(" ")} ${born} 1 2 3\n`;
}

function system(changes: Partial<System> = {}): System {
  return { host: "here", signal: () => true, read: () => stat(7, "node", "S", "1000"), ...changes };
}

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};

describe("presenceOf", () => {
  test.each<[string, Partial<System>, string]>([
    ["there", {}, "here"],
    ["another user's", { signal: failing("EPERM") }, "here"],
    ["not there", { signal: failing("ESRCH") }, "gone"],
    ["one that has ended and was not waited for", { read: () => stat(7, "node", "Z", "1000") }, "gone"],
    ["a later one of the same number", { read: () => stat(7, "node", "S", "1001") }, "gone"],
    ["on a system without /proc", { read: failing("ENOENT") }, "here"],
    ["on another machine", { host: "there" }, "elsewhere"],
  ])("of a process that is %s", (_, changes, expected) => {
    expect(presenceOf({ pid: 7, host: "here", born: "1000" }, system(changes))).toBe(expected);
  });

  test("does without the time of birth where the file has none", () => {
    expect(presenceOf({ pid: 7, host: "here" }, system())).toBe("here");
  });

  test("asks about no process of another machine", () => {
    const asked = { host: "there", signal: failing("asked"), read: failing("asked") };
    expect(presenceOf({ pid: 7, host: "here" }, asked)).toBe("elsewhere");
  });
});

test("birthOf reads past names with spaces and brackets", () => {
  const name = fc.string({ unit: fc.constantFrom("(", ")", " ", "S", "Z", "1"), maxLength: 15 });
  fc.assert(
    fc.property(name, fc.nat(), (program, born) => {
      const read = (): string => stat(7, program, "R", String(born));
      expect(birthOf(7, system({ read }))).toBe(String(born));
    }),
  );
  expect(birthOf(7, system({ read: failing("ENOENT") }))).toBeUndefined();
});
