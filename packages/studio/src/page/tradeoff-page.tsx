/** What accuracy costs: all finished runs by compression and by bytes, and those that no other beats. */

import { computed, signal } from "@preact/signals";
import type { RunSummary } from "../api.js";
import { bytes, percent, times } from "./format.js";
import { paretoFront } from "./pareto.js";
import { hrefOf } from "./route.js";
import { type Mark, Scatter } from "./scatter.js";
import { loaded, runList } from "./store.js";

type Split = "validation" | "test";

const split = signal<Split>("validation");
/** Accuracies on different data can't be compared; undefined for those of which there are most runs. */
const data = signal<string | undefined>(undefined);

const finished = computed(() => runList.value.filter(({ compression }) => compression !== null));

const dataSets = computed(() => {
  const counts = new Map<string, number>();
  for (const run of finished.value)
    counts.set(run.data ?? "unknown", (counts.get(run.data ?? "unknown") ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]);
});

const shownData = computed(() => data.value ?? dataSets.value.at(0)?.[0]);

const marks = computed(() => {
  const accuracy = (run: RunSummary): number | null =>
    split.value === "validation" ? run.validationAccuracy : run.testAccuracy;
  const pick = (x: (run: RunSummary) => number | null): Mark[] =>
    finished.value.flatMap((run) => {
      const [right, up] = [x(run), accuracy(run)];
      if ((run.data ?? "unknown") !== shownData.value || right === null || up === null || right <= 0)
        return [];
      return [{ id: run.id, label: run.path, x: right, y: up }];
    });
  return { compression: pick((run) => run.compression), bytes: pick((run) => run.bytesPacked) };
});

const fronts = computed(() => ({
  compression: paretoFront(marks.value.compression, "more"),
  bytes: paretoFront(marks.value.bytes, "less"),
}));

export function TradeoffPage() {
  return (
    <>
      <h1 tabIndex={-1}>Trade-offs</h1>
      {loaded.value && finished.value.length === 0 ? (
        <p class="empty">Runs appear here when they are finished: their reports say how small they are.</p>
      ) : (
        <>
          <Choices />
          <div class="charts two">
            <Scatter
              title="Accuracy against compression"
              xTitle="compression, more is better"
              marks={marks.value.compression}
              front={fronts.value.compression}
              format={times}
            />
            <Scatter
              title="Accuracy against size"
              xTitle="packed bytes, less is better"
              marks={marks.value.bytes}
              front={fronts.value.bytes}
              format={bytes}
            />
          </div>
          <Front />
        </>
      )}
    </>
  );
}

function Choices() {
  return (
    <div class="filters">
      <label>
        <span>Data set</span>
        <select
          value={shownData.value}
          onChange={({ currentTarget }) => {
            data.value = currentTarget.value;
          }}
        >
          {dataSets.value.map(([name, count]) => (
            <option key={name} value={name}>
              {name} ({count})
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Accuracy on</span>
        <select
          value={split.value}
          onChange={({ currentTarget }) => {
            split.value = currentTarget.value as Split;
          }}
        >
          <option value="validation">validation</option>
          <option value="test">test</option>
        </select>
      </label>
      <p class="count">Choose by validation; the test split says how good the choice is.</p>
    </div>
  );
}

function Front() {
  const onFront = new Map<string, { by: string[]; mark: Mark }>();
  for (const [by, front] of Object.entries(fronts.value)) {
    for (const mark of front) onFront.set(mark.id, { by: [...(onFront.get(mark.id)?.by ?? []), by], mark });
  }
  const rows = [...onFront.values()].sort((one, other) => other.mark.y - one.mark.y);
  return (
    <section class="section">
      <h2>
        Pareto front <small>no other run is both more accurate and smaller</small>
      </h2>
      <div class="table-holder" role="region" aria-label="Pareto front" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>Run</th>
              <th class="number">Accuracy</th>
              <th class="number">Compression</th>
              <th class="number">Packed</th>
              <th class="rank-1">On the front by</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ by, mark }) => {
              const run = finished.value.find(({ id }) => id === mark.id);
              return (
                <tr key={mark.id}>
                  <th scope="row" class="path">
                    <a href={hrefOf({ page: "run", id: mark.id })}>{mark.label}</a>
                  </th>
                  <td class="number">{percent(mark.y)}</td>
                  <td class="number">{times(run?.compression)}</td>
                  <td class="number">{bytes(run?.bytesPacked)}</td>
                  <td class="rank-1">{by.join(", ")}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}
