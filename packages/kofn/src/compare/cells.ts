/** The runs of a comparison: every method at every budget with every seed. */

import type { Method } from "@kofn/format/run/words.js";
import type { Config } from "../options/config.js";

/** A budget, or a set of rules given by hand, as a config says it. */
export interface Target {
  readonly name: string;
  readonly config: Pick<Config, "budget" | "prune">;
}

/** One run. */
export interface Cell {
  readonly method: Method;
  readonly budget: string;
  readonly seed: number;
  /** Its run directory, from the comparison's folder: "runs/dpp-10x-1". */
  readonly folder: string;
  /** What `kofn train` is asked for. */
  readonly config: Config;
}

/** The budget of networks that are not pruned: one for all targets. */
export const DENSE = "dense";

export interface Compared {
  /** What all runs have in common. */
  readonly base: Config;
  readonly methods: readonly Method[];
  readonly targets: readonly Target[];
  readonly seeds: readonly number[];
}

/**
 * @example
 * cellsOf({ base: {}, methods: ["dpp", "dense"], targets: [{ name: "10x", config: { budget: "10x" } }], seeds: [1] })
 *   .map(({ folder }) => folder); // ["runs/dpp-10x-1", "runs/dense-1"]
 */
export function cellsOf({ base, methods, targets, seeds }: Compared): Cell[] {
  return methods.flatMap((method) => {
    const own = method === "dense" ? [{ name: DENSE, config: {} }] : targets;
    return own.flatMap(({ name, config }) =>
      seeds.map((seed): Cell => {
        const label = method === "dense" ? DENSE : `${method}-${name}`;
        const folder = `runs/${label.replace(/[^\w.+-]/g, "_")}-${seed}`;
        return { method, budget: name, seed, folder, config: { ...base, ...config, method, seed } };
      }),
    );
  });
}
