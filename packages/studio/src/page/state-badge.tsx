/** How a run stands, in a word and, while it trains, a bar. */

import type { RunSummary } from "../api.js";

export function StateBadge({ run: { state, stopping, progress } }: { readonly run: RunSummary }) {
  const share = progress === null || progress.steps === 0 ? null : progress.step / progress.steps;
  return (
    <span class={`badge ${state}`}>
      <span class="dot" aria-hidden="true" />
      {stopping ? "stopping" : state}
      {state === "running" && share !== null && (
        <progress value={share} max={1} aria-label="done">
          {Math.floor(100 * share)} %
        </progress>
      )}
    </span>
  );
}
