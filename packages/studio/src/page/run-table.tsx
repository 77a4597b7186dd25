/** The list of runs: sorted, filtered, and a page of rows at a time. */

import { computed, signal, useComputed } from "@preact/signals";
import { Component } from "preact";
import type { RunState, RunSummary } from "../api.js";
import { ago, bytes, percent, times, whole } from "./format.js";
import { hrefOf } from "./route.js";
import { StateBadge } from "./state-badge.js";
import { chosen, folder, folderProblem, loaded, MOST_COMPARED, runList, toggleChosen } from "./store.js";

const PAGE = 50;

type Cell = string | number | null;

interface Column {
  readonly title: string;
  readonly numeric: boolean;
  /** How dispensable it is on a narrow screen: 3 goes first, 0 stays. */
  readonly rank: 0 | 1 | 2 | 3;
  readonly value: (run: RunSummary) => Cell;
}

const COLUMNS: readonly Column[] = [
  { title: "Run", numeric: false, rank: 0, value: ({ path }) => path },
  { title: "State", numeric: false, rank: 0, value: ({ state }) => state },
  { title: "Model", numeric: false, rank: 2, value: ({ model }) => model },
  { title: "Data", numeric: false, rank: 2, value: ({ data }) => data },
  { title: "Epochs", numeric: true, rank: 2, value: ({ epochs }) => epochs },
  { title: "Validation", numeric: true, rank: 0, value: ({ validationAccuracy }) => validationAccuracy },
  { title: "Test", numeric: true, rank: 1, value: ({ testAccuracy }) => testAccuracy },
  { title: "Compression", numeric: true, rank: 1, value: ({ compression }) => compression },
  { title: "Packed", numeric: true, rank: 1, value: ({ bytesPacked }) => bytesPacked },
  { title: "Changed", numeric: true, rank: 3, value: ({ changed }) => changed },
];

const sort = signal<{ readonly column: number; readonly descending: boolean }>({
  column: COLUMNS.length - 1,
  descending: true,
});
const filter = signal("");
const state = signal<RunState | "all">("all");
const shown = signal(PAGE);

const filtered = computed(() => {
  const words = filter.value.toLowerCase().split(/\s+/);
  const column = COLUMNS[sort.value.column];
  const sign = sort.value.descending ? -1 : 1;
  return runList.value
    .filter((run) => {
      if (state.value !== "all" && run.state !== state.value) return false;
      const text = `${run.path} ${run.model ?? ""} ${run.data ?? ""} ${run.state}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort(
      (one, other) =>
        compare(column.value(one), column.value(other), sign) || compare(one.path, other.path, 1),
    );
});

const collator = new Intl.Collator("en", { numeric: true });

/** What is not known comes last, whichever way is sorted. */
function compare(one: Cell, other: Cell, sign: number): number {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  return sign * collator.compare(String(one), String(other));
}

export function RunTable() {
  if (!loaded.value) return <p class="empty">Reading the runs …</p>;
  if (runList.value.length === 0) return <NoRuns />;
  return (
    <>
      <Filters />
      <div class="table-holder" role="region" aria-label="Runs" tabIndex={0}>
        <table class="runs">
          <Head />
          <Body />
        </table>
      </div>
      <More />
    </>
  );
}

function NoRuns() {
  if (folderProblem.value !== null) {
    return (
      <div class="empty">
        <p>
          There is nothing to show of <code>{folder.value}</code>. Runs appear here once there is such a
          folder again.
        </p>
      </div>
    );
  }
  return (
    <div class="empty">
      <p>
        There are no runs in <code>{folder.value}</code> yet. They appear here as soon as one is trained
        there:
      </p>
      <pre>
        <code>
          kofn train lenet-300-100 --data glyphs --prune fc1=weights:40 --prune fc2=weights:30 --out{" "}
          {folder.value}
          /a
        </code>
      </pre>
    </div>
  );
}

function Filters() {
  const running = useComputed(() => runList.value.filter((run) => run.state === "running").length);
  return (
    <div class="filters">
      <label>
        <span>Filter</span>
        <input
          type="search"
          placeholder="path, model, data"
          value={filter.value}
          onInput={({ currentTarget }) => {
            filter.value = currentTarget.value;
            shown.value = PAGE;
          }}
        />
      </label>
      <label>
        <span>State</span>
        <select
          value={state.value}
          onChange={({ currentTarget }) => {
            state.value = currentTarget.value as RunState | "all";
            shown.value = PAGE;
          }}
        >
          <option value="all">all</option>
          <option value="running">running</option>
          <option value="stopped">stopped</option>
          <option value="finished">finished</option>
        </select>
      </label>
      <p class="count" role="status">
        {filtered.value.length === runList.value.length
          ? `${whole(runList.value.length)} runs`
          : `${whole(filtered.value.length)} of ${whole(runList.value.length)} runs`}
        {running.value > 0 ? `, ${running.value} running` : ""}
      </p>
      <a
        class={chosen.value.length === 0 ? "button disabled" : "button"}
        href={hrefOf({ page: "compare", ids: chosen.value })}
      >
        Compare {chosen.value.length}
      </a>
    </div>
  );
}

function Head() {
  return (
    <thead>
      <tr>
        <th class="tick">
          <span class="unseen">Compare</span>
        </th>
        {COLUMNS.map((column, i) => (
          <SortableHead key={column.title} column={column} index={i} />
        ))}
      </tr>
    </thead>
  );
}

function SortableHead({
  column: { title, numeric, rank },
  index,
}: {
  readonly column: Column;
  readonly index: number;
}) {
  const { column, descending } = sort.value;
  const sorted = column === index;
  const order = descending ? "descending" : "ascending";
  return (
    <th class={`rank-${rank}${numeric ? " number" : ""}`} aria-sort={sorted ? order : "none"}>
      <button
        type="button"
        class="sort"
        onClick={() => {
          sort.value = { column: index, descending: sorted ? !descending : numeric };
        }}
      >
        {title}
        <span class="arrow" aria-hidden="true">
          {sorted ? (descending ? "▼" : "▲") : ""}
        </span>
      </button>
    </th>
  );
}

function Body() {
  const now = Date.now();
  const full = chosen.value.length >= MOST_COMPARED;
  return (
    <tbody>
      {filtered.value.slice(0, shown.value).map((run) => {
        const ticked = chosen.value.includes(run.id);
        return (
          <Row
            key={run.id}
            run={run}
            ticked={ticked}
            canTick={ticked || !full}
            when={ago(run.changed, now)}
          />
        );
      })}
    </tbody>
  );
}

interface RowProps {
  readonly run: RunSummary;
  readonly ticked: boolean;
  readonly canTick: boolean;
  readonly when: string;
}

/** Drawn anew only if something in it changes. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { run, ticked, canTick, when } = this.props;
    return next.run !== run || next.ticked !== ticked || next.canTick !== canTick || next.when !== when;
  }

  override render() {
    const { run, ticked, canTick, when } = this.props;
    const { plannedEpochs } = run;
    return (
      <tr>
        <td class="tick">
          <input
            type="checkbox"
            aria-label={`Compare ${run.path}`}
            checked={ticked}
            disabled={!canTick}
            onChange={() => {
              toggleChosen(run.id);
            }}
          />
        </td>
        <th scope="row" class="rank-0 path">
          <a href={hrefOf({ page: "run", id: run.id })}>{run.path}</a>
          {run.problems > 0 && (
            <span class="warn" title={`${run.problems} of its files' lines or files are damaged`}>
              damaged
            </span>
          )}
        </th>
        <td class="rank-0">
          <StateBadge run={run} />
        </td>
        <td class="rank-2">{run.model ?? "–"}</td>
        <td class="rank-2">{run.data ?? "–"}</td>
        <td class="rank-2 number">
          {plannedEpochs === null ? run.epochs : `${run.epochs}/${plannedEpochs}`}
        </td>
        <td class="rank-0 number">{percent(run.validationAccuracy)}</td>
        <td class="rank-1 number">{percent(run.testAccuracy)}</td>
        <td class="rank-1 number">{times(run.compression)}</td>
        <td class="rank-1 number">{bytes(run.bytesPacked)}</td>
        <td class="rank-3 number">{when}</td>
      </tr>
    );
  }
}

function More() {
  const rest = filtered.value.length - shown.value;
  if (filtered.value.length === 0) return <p class="empty">No run matches.</p>;
  if (rest <= 0) return null;
  return (
    <button
      type="button"
      class="more"
      onClick={() => {
        shown.value += PAGE;
      }}
    >
      Show {Math.min(PAGE, rest)} more of {whole(rest)}
    </button>
  );
}
