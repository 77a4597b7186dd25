/** One layer's mask, large, with its metrics over time and how sure its units are. */

import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LayerHistory, RunDetails } from "../api.js";
import { digits, percent, unit, whole } from "./format.js";
import { HeatmapZoom } from "./heatmap-zoom.js";
import { Histogram } from "./histogram.js";
import { LineChart } from "./line-chart.js";
import { fetchLayer } from "./requests.js";

interface LayerPanelProps {
  readonly details: RunDetails;
  readonly name: string;
  readonly epoch: ReadonlySignal<number | null>;
}

export function LayerPanel({ details, name, epoch }: LayerPanelProps) {
  const { summary, layers, heatmaps } = details;
  const index = layers.findIndex((layer) => layer.name === name);
  const layer = index === -1 ? undefined : layers[index];
  const history = useHistory(summary.id, index, summary.revision);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    heading.current?.scrollIntoView({ block: "nearest" });
  }, []);
  const map = heatmaps?.layers.findIndex((each) => each.name === name) ?? -1;
  const at = heatmaps === null ? 0 : Math.min(epoch.value ?? heatmaps.epochs - 1, heatmaps.epochs - 1);
  return (
    <section class="section panel" aria-label={`Layer ${name}`}>
      <h2 tabIndex={-1} ref={heading}>
        Layer {name}
        {layer !== undefined && (
          <small>
            {" "}
            {whole(layer.k)} of {whole(layer.n)} in each of {whole(layer.rows)} groups
          </small>
        )}
      </h2>
      {layer !== undefined && layer.members.length > 1 && <p>One mask for {layer.members.join(", ")}.</p>}
      <div class="panel-parts">
        {heatmaps !== null && map !== -1 && (
          <HeatmapZoom
            id={summary.id}
            layer={heatmaps.layers[map]}
            index={map}
            at={at}
            epochs={heatmaps.epochs}
            epoch={details.epochs.epoch[at] ?? at + 1}
          />
        )}
        <div class="panel-charts">
          {history !== null && (
            <LineChart
              title="Mask metrics"
              x={history.epoch}
              lines={[
                { label: "confidence", values: history.series.confidence, style: 0 },
                { label: "diversity", values: history.series.diversity, style: 2 },
                { label: "churn", values: history.series.churn, style: 5 },
              ]}
              format={unit}
              range={[0, 1]}
            />
          )}
          {layer?.inclusion !== null && layer?.inclusion !== undefined && (
            <Histogram counts={layer.inclusion} />
          )}
          {layer !== undefined && (
            <dl class="settings">
              <div>
                <dt>Confidence of the softmax</dt>
                <dd>{unit(layer.last.softmaxConfidence)}</dd>
              </div>
              <div>
                <dt>Jensen-Shannon diversity</dt>
                <dd>{unit(layer.last.jensenShannon)}</dd>
              </div>
              <div>
                <dt>Kept as by magnitude</dt>
                <dd>{percent(layer.last.overlapMagnitude, 1)}</dd>
              </div>
              <div>
                <dt>Units never chosen</dt>
                <dd>{digits(layer.last.neverChosen, 6)}</dd>
              </div>
            </dl>
          )}
        </div>
      </div>
    </section>
  );
}

/** A layer's history, read anew with every revision of the run. */
function useHistory(id: string, index: number, revision: string): LayerHistory | null {
  const [history, setHistory] = useState<LayerHistory | null>(null);
  useEffect(() => {
    if (index === -1) return;
    let wanted = true;
    fetchLayer(id, index).then(
      (found) => {
        if (wanted) setHistory(found);
      },
      // The run is gone or the connection lost, which the page says elsewhere.
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [id, index, revision]);
  return history;
}
