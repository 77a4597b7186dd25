/** One run: figures, charts, layers, masks, settings. */

import { useSignal } from "@preact/signals";
import type { RunDetails, RunSummary } from "../api.js";
import { useDetails } from "./details.js";
import { EpochTable } from "./epoch-table.js";
import { bytes, duration, percent, times, whole } from "./format.js";
import { LayerPanel } from "./layer-panel.js";
import { LayerTable } from "./layer-table.js";
import { Masks } from "./masks.js";
import { hrefOf } from "./route.js";
import { RunCharts } from "./run-charts.js";
import { StateBadge } from "./state-badge.js";
import { StopButton } from "./stop-button.js";
import { chosen, folder, MOST_COMPARED, runs, toggleChosen } from "./store.js";

export function RunPage({ id }: { readonly id: string }) {
  const [state] = useDetails([id]);
  const loaded = state.value;
  if (loaded.kind === "loading") return <p class="empty">Reading the run …</p>;
  if (loaded.kind === "gone") {
    return (
      <div class="empty">
        <h1 tabIndex={-1}>This run is gone</h1>
        <p>Its folder has been deleted, moved or renamed. It comes back here if the folder does.</p>
        <p>
          <a href={hrefOf({ page: "list" })}>All runs</a>
        </p>
      </div>
    );
  }
  const { details } = loaded;
  // Events bring the newest summary.
  return <Details details={details} run={runs.value.get(id) ?? details.summary} />;
}

function Details({ details, run }: { readonly details: RunDetails; readonly run: RunSummary }) {
  const layer = useSignal<string | null>(null);
  const epoch = useSignal<number | null>(null);
  const select = (name: string): void => {
    layer.value = layer.value === name ? null : name;
  };
  return (
    <>
      <div class="run-head">
        <h1 tabIndex={-1}>{run.path}</h1>
        <StateBadge run={run} />
        <p class="about">
          {[run.model, run.data, run.seed === null ? null : `seed ${run.seed}`].filter(Boolean).join(" · ")}
        </p>
        <div class="actions">
          <StopButton run={run} />
          {details.hasReportPage && (
            <a class="button" href={`/reports/${run.id}`} target="_blank" rel="noopener">
              Report
            </a>
          )}
          <label class="button">
            <input
              type="checkbox"
              checked={chosen.value.includes(run.id)}
              disabled={!chosen.value.includes(run.id) && chosen.value.length >= MOST_COMPARED}
              onChange={() => {
                toggleChosen(run.id);
              }}
            />
            Compare
          </label>
        </div>
      </div>
      {details.problems.length > 0 && <Problems problems={details.problems} />}
      {run.state === "stopped" && <Stopped path={run.path} />}
      <Tiles details={details} run={run} />
      <RunCharts epochs={details.epochs} />
      <LayerTable
        layers={details.layers}
        epochs={details.epochs.epoch.length}
        selected={layer.value}
        onSelect={select}
      />
      <Masks details={details} layer={layer.value} onSelect={select} epoch={epoch} />
      {layer.value !== null && (
        <LayerPanel key={layer.value} details={details} name={layer.value} epoch={epoch} />
      )}
      <EpochTable epochs={details.epochs} />
      <Settings config={details.config} />
    </>
  );
}

function Problems({ problems }: { readonly problems: readonly string[] }) {
  return (
    <div class="banner" role="alert">
      <p>Some of what this run has left can't be read; the rest is shown.</p>
      <ul>
        {problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
    </div>
  );
}

function Stopped({ path }: { readonly path: string }) {
  const run = path === "." ? folder.value : `${folder.value}/${path}`;
  return (
    <p class="banner quiet">
      No process trains this run, and it was not finished. It goes on after its last finished epoch with{" "}
      <code>kofn train --resume --out {run}</code>
    </p>
  );
}

function Tiles({ details: { totals }, run }: { readonly details: RunDetails; readonly run: RunSummary }) {
  const { progress, plannedEpochs } = run;
  return (
    <dl class="tiles">
      <Tile title="Validation accuracy" value={percent(run.validationAccuracy)} note="best epoch" />
      <Tile
        title="Test accuracy"
        value={percent(run.testAccuracy)}
        note={run.testAccuracy === null ? "when finished" : `error ${percent(1 - run.testAccuracy)}`}
      />
      <Tile
        title="Compression"
        value={times(run.compression)}
        note={totals === null ? "when finished" : `${whole(totals.kept)} of ${whole(totals.weights)} weights`}
      />
      <Tile
        title="Packed size"
        value={bytes(run.bytesPacked)}
        note={
          totals === null
            ? "when finished"
            : `${bytes(totals.bytesDense)} dense, limit ${bytes(totals.bytesLimit)}`
        }
      />
      <Tile
        title="MACs"
        value={whole(totals?.macsKept)}
        note={totals === null ? "when finished" : `of ${whole(totals.macs)}`}
      />
      {progress === null ? (
        <Tile
          title="Epochs"
          value={plannedEpochs === null ? whole(run.epochs) : `${run.epochs} / ${plannedEpochs}`}
          note={`in ${duration(run.seconds)}`}
        />
      ) : (
        <Tile
          title="Epoch"
          value={`${progress.epoch} / ${progress.epochs}`}
          note={`${duration(progress.remainingSeconds)} left, ${whole(progress.samplesPerSecond)} samples/s`}
        />
      )}
    </dl>
  );
}

function Tile({
  title,
  value,
  note,
}: {
  readonly title: string;
  readonly value: string;
  readonly note: string;
}) {
  return (
    <div class="tile">
      <dt>{title}</dt>
      <dd>
        {value}
        <small>{note}</small>
      </dd>
    </div>
  );
}

function Settings({ config }: { readonly config: RunDetails["config"] }) {
  if (config === null) return null;
  return (
    <details class="section">
      <summary>Settings</summary>
      <dl class="settings">
        {Object.entries(config).map(([key, value]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>
              <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
