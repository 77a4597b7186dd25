/** The rule that folders import only what `folders.js` allows. */

import { FOLDERS } from "./folders.js";
import { importsOf, placeOf, slashed } from "./imports.js";

const TABLE = "lint/folders.js";

/**
 * The row of a file: the longest that it begins with, or that of the other files of src.
 *
 * @param {string} file
 */
export function rowOf(file) {
  const place = placeOf(file);
  if (place === undefined || !Object.hasOwn(FOLDERS, place.name)) return undefined;
  const rows = FOLDERS[place.name];
  const [first, ...rest] = place.path.split("/");
  const folder = !Object.hasOwn(rows, first) && rest.length === 0 ? "." : first;
  return Object.hasOwn(rows, folder) ? { name: place.name, folder, row: rows[folder] } : undefined;
}

/**
 * What a row calls a folder.
 *
 * @param {string} name the package of the row.
 * @param {{ name: string, folder: string }} target
 */
export function nameFor(name, target) {
  if (target.name === name) return target.folder;
  return `@kofn/${target.name}${target.folder === "." ? "" : `/${target.folder}`}`;
}

/** @param {string} specifier */
export function packageOf(specifier) {
  if (specifier.startsWith("node:")) return specifier;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * The folders that a row may import, apart from its own: those that it names, and what is open above it.
 *
 * @param {{ name: string, folder: string, row: import("./folders.js").Row }} from
 */
function allowedTo({ name, folder, row }) {
  const rows = Object.entries(FOLDERS[name]);
  const above = rows.slice(
    0,
    rows.findIndex(([one]) => one === folder),
  );
  return [...row.imports, ...above.filter(([, { isOpen }]) => isOpen).map(([one]) => one)];
}

/** @param {readonly string[]} names */
const listed = (names) => (names.length === 0 ? "nothing" : names.join(", "));

/**
 * What is wrong with an import, if anything is.
 *
 * @param {string} file
 * @param {{ specifier: string, target: string | undefined }} imported
 */
function problemOf(file, { specifier, target }) {
  const from = rowOf(file);
  if (from === undefined) {
    return `this file is in no folder of ${TABLE}. Give its folder a row there, below all that it imports and above all that import it.`;
  }
  const { name, folder, row } = from;
  if (target === undefined) {
    const outside = packageOf(specifier);
    if (row.outside.includes(outside)) return undefined;
    if (outside.startsWith("node:") && row.outside.includes("node:*")) return undefined;
    return (
      `${folder} of ${name} may not import "${outside}"; of packages and node's modules it may import: ` +
      `${listed(row.outside)}. Let a folder that may do it, and hand over what it finds; the table is ${TABLE}.`
    );
  }
  const to = rowOf(target);
  if (to === undefined) return `"${specifier}" leads to no folder of ${TABLE}. Give it a row there.`;
  const allowed = allowedTo(from);
  if (to.row === row || allowed.includes(nameFor(name, to))) return undefined;
  return (
    `${folder} of ${name} may not import ${nameFor(name, to)} ("${specifier}"); it may import: ${listed(allowed)}. ` +
    `Move what both need into one of these. A folder that stands above ${folder} in ${TABLE} may be added to its row ` +
    `there; one that stands below may not.`
  );
}

/** @type {import("eslint").Rule.RuleModule} */
export const order = {
  meta: { type: "problem", schema: [] },
  create(context) {
    const { sourceCode } = context;
    const file = slashed(context.filename);
    return {
      Program() {
        for (const imported of importsOf(file, sourceCode.text)) {
          const message = problemOf(file, imported);
          if (message === undefined) continue;
          const start = sourceCode.getLocFromIndex(imported.start);
          context.report({ message, loc: { start, end: sourceCode.getLocFromIndex(imported.end) } });
        }
      },
    };
  },
};
