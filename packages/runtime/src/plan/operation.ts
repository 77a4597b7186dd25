/** What a plan consists of, before and after memory is planned. */

import type { Call } from "../execute.js";
import type { Memory } from "./memory.js";
import type { Value } from "./value.js";

/** What a layer with weights does, for `info`. */
export interface Choice {
  readonly kernel: string;
  readonly why: string;
  /** Weights that are not 0. */
  readonly kept: number;
  /** Whether four outputs share a list of inputs. */
  readonly isShared: boolean;
}

export interface Operation {
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Whether the output is the input where both are compact: nothing is to be done then. */
  readonly isView?: true;
  /** Whether it can write the result of one sample beside those of others. */
  readonly fillsLane?: true;
  /** Cells that are needed while the operation runs. */
  readonly scratch?: () => number;
  /** Writes tables, once all values have their places. */
  readonly emit: (memory: Memory, scratch: number) => readonly Call[];
}
