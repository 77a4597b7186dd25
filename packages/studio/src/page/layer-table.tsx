/** The masks of a run, one row per layer: newest values, and how they went. */

import { memo } from "./memo.js";
import type { LayerRow } from "../api.js";
import { percent, unit, whole } from "./format.js";
import { Sparkline } from "./sparkline.js";

interface LayerTableProps {
  readonly layers: readonly LayerRow[];
  /** How many epochs there are. */
  readonly epochs: number;
  readonly selected: string | null;
  readonly onSelect: (name: string) => void;
}

export function LayerTable({ layers, epochs, selected, onSelect }: LayerTableProps) {
  if (epochs === 0) return null;
  return (
    <section class="section">
      <h2>Layers</h2>
      {layers.length === 0 ? (
        <p class="empty">
          metrics.jsonl says nothing about layers: nothing is pruned, or an older version of kofn has written
          it.
        </p>
      ) : (
        <div class="table-holder" role="region" aria-label="Layers" tabIndex={0}>
          <table class="layers">
            <thead>
              <tr>
                <th>Layer</th>
                <th class="number">k of n</th>
                <th class="number rank-1">Groups</th>
                <th title="0: a uniform mask, 1: a certain one">Confidence</th>
                <th title="0: all groups choose alike; at most the confidence">Diversity</th>
                <th title="Share of the kept units that changed since the epoch before">Churn</th>
                <th
                  class="number rank-2"
                  title="Share of the kept units that the largest weights would keep, too"
                >
                  As by magnitude
                </th>
                <th class="number rank-2" title="Units that no epoch's mask has kept">
                  Never chosen
                </th>
              </tr>
            </thead>
            <tbody>
              {layers.map((layer) => (
                <Row key={layer.name} layer={layer} selected={layer.name === selected} onSelect={onSelect} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface RowProps {
  readonly layer: LayerRow;
  readonly selected: boolean;
  readonly onSelect: (name: string) => void;
}

const Row = memo<RowProps>(
  ({ layer: { name, rows, n, k, members, last, spark }, selected, onSelect }) => (
    <tr class={selected ? "selected" : ""}>
      <th scope="row">
        <button
          type="button"
          class="link"
          aria-pressed={selected}
          title={members.length > 1 ? `one mask for ${members.join(", ")}` : "Show this layer"}
          onClick={() => {
            onSelect(name);
          }}
        >
          {name}
        </button>
        {members.length > 1 && <small> +{members.length - 1}</small>}
      </th>
      <td class="number">
        {whole(k)} of {whole(n)}
      </td>
      <td class="number rank-1">{whole(rows)}</td>
      <td class="with-spark">
        {unit(last.confidence)} <Sparkline values={spark.confidence} />
      </td>
      <td class="with-spark">
        {unit(last.diversity)} <Sparkline values={spark.diversity} />
      </td>
      <td class="with-spark">
        {unit(last.churn)} <Sparkline values={spark.churn} />
      </td>
      <td class="number rank-2">{percent(last.overlapMagnitude, 1)}</td>
      <td class="number rank-2">{whole(last.neverChosen)}</td>
    </tr>
  ),
  (one, other) => one.layer === other.layer && one.selected === other.selected,
);
