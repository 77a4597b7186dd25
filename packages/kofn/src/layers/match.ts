/** Finds layers by the patterns that specs name them with. */

import type { PrunableLayer } from "./types.js";

/**
 * The layers that a pattern means: those whose names match the glob. Where a plain name names none of them, it may be that of a
 * module, which means all layers in it ("layer1" means layer1.0.conv1), or of modules and layers that are numbered
 * ("layer" means layer1.0.conv1 and layer2.0.conv1, "fc" means fc1 and fc2).
 */
export function layersNamed(pattern: string, layers: readonly PrunableLayer[]): readonly PrunableLayer[] {
  const matched = layers.filter(({ name }) => matches(pattern, name));
  if (matched.length > 0 || pattern === "" || /[*?]/.test(pattern)) return matched;
  const inside = layers.filter(({ name }) => name.startsWith(`${pattern}.`));
  if (inside.length > 0 || !/[a-z_]$/i.test(pattern)) return inside;
  return layers.filter(
    ({ name }) => name.startsWith(pattern) && /^\d+(\.|$)/.test(name.slice(pattern.length)),
  );
}

/** The names of layers, for the message of an error. */
export function listed(layers: readonly PrunableLayer[]): string {
  if (layers.length === 0) return "The model has no layer that can be pruned.";
  const names = layers.slice(0, 30).map((layer) => layer.name);
  const more = layers.length > names.length ? `, and ${layers.length - names.length} more` : "";
  return `Layers: ${names.join(", ")}${more}.`;
}

/** Whether a glob (`*` any text, `?` one character) matches a whole name. Takes at most pattern * name steps. */
function matches(pattern: string, name: string): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < name.length;) {
    if (pattern[p] === "*") {
      star = p++;
      resume = i;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[i])) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
