/** What source files import, and where that lies. */

import { existsSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";

/**
 * @typedef {object} Import
 * @property {string} specifier what stands in quotes.
 * @property {string | undefined} target the source file that it names, if it is ours.
 * @property {number} start where the specifier stands in the text.
 * @property {number} end
 */

/** A path with "/" on every system. */
export const slashed = (/** @type {string} */ path) => path.replaceAll("\\", "/");

/**
 * Where a file lies, or undefined if it is no source of a package.
 *
 * @param {string} file
 * @returns {{ root: string, name: string, path: string } | undefined} `path` is below packages/NAME/src.
 */
export function placeOf(file) {
  const found = /^(.*)\/packages\/([^/]+)\/src\/(.+)$/.exec(file);
  return found === null ? undefined : { root: found[1], name: found[2], path: found[3] };
}

/**
 * All imports of a file's text: static and dynamic ones, those of types, and re-exports.
 *
 * @param {string} file
 * @param {string} text
 * @returns {Import[]}
 */
export function importsOf(file, text) {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos, end }) => ({
    specifier: fileName,
    target: targetOf(file, fileName),
    start: pos,
    end,
  }));
}

/**
 * @param {string} file
 * @param {string} specifier
 */
function targetOf(file, specifier) {
  if (specifier.startsWith(".")) return sourceOf(posix.join(posix.dirname(file), specifier));
  const found = /^(?:@kofn\/([^/]+)|(kofn))(?:\/(.+))?$/.exec(specifier);
  const root = placeOf(file)?.root;
  if (found === null || root === undefined) return undefined;
  return sourceOf(`${root}/packages/${found[1] ?? found[2]}/src/${found[3] ?? "index.js"}`);
}

/**
 * The source of what is built at a path.
 *
 * @param {string} built
 */
function sourceOf(built) {
  const page = built.replace(/\.js$/, ".tsx");
  return existsSync(page) ? page : built.replace(/\.js$/, ".ts");
}

/** @type {Map<string, { changed: number, targets: readonly string[] }>} */
const known = new Map();

/**
 * Our files that a file on disk imports; none if there is no such file. Read again when the file changes, as editors keep
 * rules for hours.
 *
 * @param {string} file
 * @returns {readonly string[]}
 */
export function targetsOf(file) {
  const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (changed === undefined) return [];
  const before = known.get(file);
  if (before?.changed === changed) return before.targets;
  const targets = importsOf(file, readFileSync(file, "utf8")).flatMap(({ target }) => target ?? []);
  known.set(file, { changed, targets });
  return targets;
}
