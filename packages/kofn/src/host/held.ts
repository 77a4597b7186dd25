/** What the host learns, as the state of a run holds it. */

import { stateName } from "../step/names.js";
import type { HeldTensor } from "../step/state.js";
import type { Learned } from "./sampler-memory.js";

/** A tensor that the host updates, and its optimizer's states. */
export function heldTensors(
  name: string,
  dims: readonly number[],
  { values, states }: Learned,
): HeldTensor[] {
  const ofStates = [...states].map(([state, array]) => ({ name: stateName(name, state), dims, array }));
  return [{ name, dims, array: values }, ...ofStates];
}
