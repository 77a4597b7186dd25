/** Accuracy, loss and schedules of a run over its epochs. */

import { useMemo } from "preact/hooks";
import type { EpochColumns } from "../api.js";
import { digits, percent, percentAxis } from "./format.js";
import { LineChart } from "./line-chart.js";

export function RunCharts({ epochs }: { readonly epochs: EpochColumns }) {
  const lines = useMemo(
    () => ({
      accuracy: [
        { label: "validation", values: epochs.validationAccuracy, style: 0 },
        { label: "training", values: epochs.trainAccuracy, style: 5 },
      ],
      loss: [
        { label: "validation", values: epochs.validationLoss, style: 0 },
        { label: "training", values: epochs.trainLoss, style: 5 },
      ],
      schedules: [
        { label: "temperature tau", values: epochs.tau, style: 2 },
        { label: "learning rate (right)", values: epochs.learningRate, style: 7, right: true },
      ],
    }),
    [epochs],
  );
  if (epochs.epoch.length === 0) {
    return <p class="empty">Charts, layers and masks appear with the first epoch.</p>;
  }
  return (
    <section class="charts" aria-label="Charts">
      <LineChart
        title="Accuracy"
        x={epochs.epoch}
        lines={lines.accuracy}
        format={accuracy}
        formatAxis={percentAxis}
      />
      <LineChart title="Loss" x={epochs.epoch} lines={lines.loss} format={plain} />
      <LineChart
        title="Schedules"
        x={epochs.epoch}
        lines={lines.schedules}
        format={plain}
        formatRight={small}
      />
    </section>
  );
}

const accuracy = (value: number): string => percent(value);
const plain = (value: number): string => digits(value);
const small = (value: number): string => (value === 0 ? "0" : value.toExponential(1));
