/** Several runs, one over the other. */

import { useEffect } from "preact/hooks";
import type { RunDetails } from "../api.js";
import { type Loaded, useDetails } from "./details.js";
import { bytes, digits, duration, percent, percentAxis, times } from "./format.js";
import { type Line, LineChart, Swatch } from "./line-chart.js";
import { go, hrefOf } from "./route.js";
import { chosen, MOST_COMPARED, runs } from "./store.js";

export function ComparePage({ ids }: { readonly ids: readonly string[] }) {
  const compared = ids.slice(0, MOST_COMPARED);
  const key = compared.join("+");
  const loaded = useDetails(compared).map((state) => state.value);
  useEffect(() => {
    chosen.value = compared;
  }, [key]);
  const here = loaded.flatMap((each: Loaded, i) =>
    each.kind === "here" ? [{ details: each.details, style: i }] : [],
  );
  return (
    <>
      <h1 tabIndex={-1}>Compare</h1>
      {compared.length === 0 && (
        <p class="empty">
          Tick up to {MOST_COMPARED} runs in the <a href={hrefOf({ page: "list" })}>list of runs</a>, then
          come back.
        </p>
      )}
      {loaded.some(({ kind }) => kind === "gone") && (
        <p class="banner" role="alert">
          Some of these runs are gone: their folders have been deleted, moved or renamed.
        </p>
      )}
      {here.length > 0 && (
        <>
          <Figures runs={here} ids={compared} />
          <Charts runs={here} />
          <Differences runs={here} />
        </>
      )}
    </>
  );
}

interface Compared {
  readonly details: RunDetails;
  readonly style: number;
}

function Figures({
  runs: compared,
  ids,
}: {
  readonly runs: readonly Compared[];
  readonly ids: readonly string[];
}) {
  return (
    <div class="table-holder" role="region" aria-label="Figures" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th>Run</th>
            <th class="number">Validation</th>
            <th class="number">Test</th>
            <th class="number">Compression</th>
            <th class="number">Packed</th>
            <th class="number rank-1">Epochs</th>
            <th class="number rank-2">Time</th>
            <th>
              <span class="unseen">Remove</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {compared.map(({ details: { summary }, style }) => {
            const run = runs.value.get(summary.id) ?? summary;
            return (
              <tr key={run.id}>
                <th scope="row" class="path">
                  <Swatch style={style} /> <a href={hrefOf({ page: "run", id: run.id })}>{run.path}</a>
                </th>
                <td class="number">{percent(run.validationAccuracy)}</td>
                <td class="number">{percent(run.testAccuracy)}</td>
                <td class="number">{times(run.compression)}</td>
                <td class="number">{bytes(run.bytesPacked)}</td>
                <td class="number rank-1">{run.epochs}</td>
                <td class="number rank-2">{duration(run.seconds)}</td>
                <td>
                  <button
                    type="button"
                    onClick={() => {
                      go({ page: "compare", ids: ids.filter((id) => id !== run.id) });
                    }}
                  >
                    Leave out
                    <span class="unseen">{run.path}</span>
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Runs have their epochs, not others'; a chart has one axis for all. */
function Charts({ runs: compared }: { readonly runs: readonly Compared[] }) {
  const x = [...new Set(compared.flatMap(({ details }) => details.epochs.epoch))].sort((a, b) => a - b);
  const lines = (values: (details: RunDetails) => readonly (number | null)[]): Line[] =>
    compared.map(({ details, style }) => {
      const at = new Map(details.epochs.epoch.map((epoch, i) => [epoch, values(details)[i]]));
      return { label: details.summary.path, style, values: x.map((epoch) => at.get(epoch) ?? null) };
    });
  return (
    <section class="charts two" aria-label="Charts">
      <LineChart
        title="Validation accuracy"
        x={x}
        lines={lines(({ epochs }) => epochs.validationAccuracy)}
        format={percent}
        formatAxis={percentAxis}
        height={260}
      />
      <LineChart
        title="Validation loss"
        x={x}
        lines={lines(({ epochs }) => epochs.validationLoss)}
        format={digits}
        height={260}
      />
      <LineChart
        title="Training loss"
        x={x}
        lines={lines(({ epochs }) => epochs.trainLoss)}
        format={digits}
      />
      <LineChart
        title="Mean confidence of the masks"
        x={x}
        lines={lines(({ epochs }) => epochs.confidence)}
        format={digits}
      />
    </section>
  );
}

function Differences({ runs: compared }: { readonly runs: readonly Compared[] }) {
  if (compared.length < 2) return null;
  const configs = compared.map(({ details }) => details.config ?? {});
  const keys = [...new Set(configs.flatMap((config) => Object.keys(config)))];
  const differing = keys.filter(
    (key) => new Set(configs.map((config) => JSON.stringify(config[key]))).size > 1,
  );
  return (
    <section class="section">
      <h2>Settings that differ</h2>
      {differing.length === 0 ? (
        <p class="empty">None.</p>
      ) : (
        <div class="table-holder" role="region" aria-label="Settings that differ" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th>Setting</th>
                {compared.map(({ details: { summary }, style }) => (
                  <th key={summary.id}>
                    <Swatch style={style} /> {summary.path}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {differing.map((key) => (
                <tr key={key}>
                  <th scope="row">{key}</th>
                  {configs.map((config, i) => (
                    <td key={compared[i].details.summary.id}>
                      <code>{shown(config[key])}</code>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
