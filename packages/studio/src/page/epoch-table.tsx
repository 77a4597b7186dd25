/** The charts' values as a table, for who would rather read them. */

import { useSignal } from "@preact/signals";
import type { EpochColumns } from "../api.js";
import { digits, percent } from "./format.js";

export function EpochTable({ epochs }: { readonly epochs: EpochColumns }) {
  const open = useSignal(false);
  if (epochs.epoch.length === 0) return null;
  const best = new Set(epochs.best);
  return (
    <details
      class="section"
      onToggle={({ currentTarget }) => {
        open.value = currentTarget.open;
      }}
    >
      <summary>Epochs as a table</summary>
      {open.value && (
        <div class="table-holder" role="region" aria-label="Epochs" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th class="number">Epoch</th>
                <th class="number">Training loss</th>
                <th class="number">Training accuracy</th>
                <th class="number">Validation loss</th>
                <th class="number">Validation accuracy</th>
                <th class="number">tau</th>
                <th class="number">beta</th>
                <th class="number">Learning rate</th>
                <th>Best so far</th>
              </tr>
            </thead>
            <tbody>
              {epochs.epoch.map((epoch, i) => (
                <tr key={epoch}>
                  <th scope="row" class="number">
                    {epoch}
                  </th>
                  <td class="number">{digits(epochs.trainLoss[i])}</td>
                  <td class="number">{percent(epochs.trainAccuracy[i])}</td>
                  <td class="number">{digits(epochs.validationLoss[i])}</td>
                  <td class="number">{percent(epochs.validationAccuracy[i])}</td>
                  <td class="number">{digits(epochs.tau[i], 3)}</td>
                  <td class="number">{digits(epochs.beta[i], 3)}</td>
                  <td class="number">{digits(epochs.learningRate[i], 3)}</td>
                  <td>{best.has(i) ? "best" : ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
