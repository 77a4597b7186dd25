/** The rule that no file imports itself through others. */

import { posix } from "node:path";
import { importsOf, slashed, targetsOf } from "./imports.js";

/**
 * The shortest way from a file to a file that imports `end`, or undefined if no way leads there.
 *
 * @param {string} start
 * @param {string} end
 */
function wayBack(start, end) {
  /** @type {Map<string, string | undefined>} */
  const from = new Map([[start, undefined]]);
  for (const file of from.keys()) {
    for (const target of targetsOf(file)) {
      if (target === end) return wayTo(file, from);
      if (!from.has(target)) from.set(target, file);
    }
  }
  return undefined;
}

/**
 * @param {string} file
 * @param {ReadonlyMap<string, string | undefined>} from
 */
function wayTo(file, from) {
  const way = [file];
  for (let at = from.get(file); at !== undefined; at = from.get(at)) way.unshift(at);
  return way;
}

/** @type {import("eslint").Rule.RuleModule} */
export const circles = {
  meta: { type: "problem", schema: [] },
  create(context) {
    const { sourceCode } = context;
    const file = slashed(context.filename);
    return {
      Program() {
        for (const { target, start, end } of importsOf(file, sourceCode.text)) {
          const way = target === undefined ? undefined : wayBack(target, file);
          if (way === undefined) continue;
          const names = [file, ...way, file].map((one) => posix.relative(slashed(context.cwd), one));
          context.report({
            message: `a circle of imports, types included: ${names.join(" -> ")}. Move what both ends need into a file of its own.`,
            loc: { start: sourceCode.getLocFromIndex(start), end: sourceCode.getLocFromIndex(end) },
          });
        }
      },
    };
  },
};
