/** Finds elements of the page. */

/** @throws Error if the page has no such element. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} "${id}"`);
}

/** Sets the text of an element. */
export function write(id: string, text: string): void {
  byId(id, HTMLElement).textContent = text;
}
