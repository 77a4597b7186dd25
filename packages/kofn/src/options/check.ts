/** Checks of settings. */

import { InputError } from "../errors.js";

/** @throws InputError unless 0 <= from <= to <= 1. */
export function checkSpan(name: string, [from, to]: readonly [number, number]): void {
  if (!(from >= 0 && from <= to && to <= 1)) {
    throw new InputError(`${name} must be two shares of training, 0 <= from <= to <= 1, got ${from}:${to}`);
  }
}
