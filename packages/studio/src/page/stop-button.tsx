/** Asks the process that trains a run to stop; where there is none, there is no button. */

import { useSignal } from "@preact/signals";
import type { RunSummary } from "../api.js";
import { messageOf, requestStop } from "./requests.js";

type Asked = "no" | "sure" | "sent";

export function StopButton({ run: { id, state, stopping } }: { readonly run: RunSummary }) {
  const asked = useSignal<Asked>("no");
  const problem = useSignal("");
  if (state !== "running") return null;
  if (stopping || asked.value === "sent") {
    return (
      <p class="stopping" role="status">
        Stopping after the current step …
      </p>
    );
  }
  const send = async (): Promise<void> => {
    asked.value = "sent";
    try {
      await requestStop(id);
    } catch (error) {
      asked.value = "no";
      problem.value = messageOf(error);
    }
  };
  return (
    <>
      {asked.value === "no" ? (
        <button
          type="button"
          onClick={() => {
            asked.value = "sure";
          }}
        >
          Stop
        </button>
      ) : (
        <span class="sure" role="group" aria-label="Stop the run?">
          The finished epochs stay, and it can be resumed.
          <button type="button" class="danger" onClick={() => void send()}>
            Stop it
          </button>
          <button
            type="button"
            onClick={() => {
              asked.value = "no";
            }}
          >
            Go on training
          </button>
        </span>
      )}
      <span role="alert">{problem.value}</span>
    </>
  );
}
