/** What a checkpoint holds: the state of a trainer between two epochs, that of the best epoch, and which units were ever chosen. */

import { CHECKPOINT_FILE, CHECKPOINT_FOLDER } from "@kofn/format/run/files.js";
import { CHECKPOINT_STATE } from "@kofn/format/run/schemas.js";
import type { EpochMetrics } from "@kofn/format/run/types.js";
import { InputError } from "../errors.js";
import { decodeSafetensors, encodeSafetensors } from "../onnx/safetensors.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { maskOfLogits } from "../prune/mask.js";
import { logitsName } from "../step/names.js";
import type { Trainer } from "../train/trainer.js";
import { checked, parseJson } from "./json.js";
import { MaskHistory } from "./mask-history.js";
import type { Checkpoint } from "./types.js";

/** In a run directory: the run's state after its last epoch but one, or the last that was finished before it was stopped. */
export const CHECKPOINT = `${CHECKPOINT_FOLDER}/${CHECKPOINT_FILE}`;
/** The tensor of a checkpoint's file that is no tensor, but JSON: what is in a Checkpoint besides tensors. */
const JSON_TENSOR = "json";

/** What the names of a checkpoint's tensors begin with. */
const CURRENT = "current/";
const BEST = "best/";
const CHOSEN = "chosen/";

/** The state at an epoch that a result is made of: parameters, learned scales and logits by name. */
export type EpochState = ReadonlyMap<string, Tensor>;

/** A checkpoint as a file, in the format of safetensors. */
export function encodeCheckpoint({ tensors, ...state }: Checkpoint): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(state));
  return encodeSafetensors(new Map(tensors).set(JSON_TENSOR, tensor("uint8", [json.length], json)));
}

/**
 * @param source the file's name, for messages.
 * @throws InputError if the file is damaged.
 */
export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  const tensors = new Map(decodeSafetensors(bytes, source));
  const json = tensors.get(JSON_TENSOR);
  if (json === undefined) throw new InputError(`${source}: expected a checkpoint, but it lacks "json".`);
  tensors.delete(JSON_TENSOR);
  const state = checked(CHECKPOINT_STATE, parseJson(new TextDecoder().decode(json.bytes), source), source);
  return { tensors, ...state };
}

/** The state that a result would be made of now. */
export function epochState(trainer: Trainer): EpochState {
  const wanted = new Set([
    ...trainer.parameterNames(),
    ...trainer.layers.map(({ weight }) => logitsName(weight)),
  ]);
  return new Map([...trainer.state.snapshot()].filter(([name]) => wanted.has(name)));
}

/** Puts a trainer back to the state of an epoch. */
export function restoreEpoch(trainer: Trainer, state: EpochState): void {
  trainer.state.restore(new Map([...trainer.state.snapshot(), ...state]));
}

/**
 * @param metrics the epochs so far.
 * @param seconds how long the run took so far.
 */
export function checkpointOf(
  trainer: Trainer,
  best: EpochState | undefined,
  history: MaskHistory,
  metrics: readonly EpochMetrics[],
  seconds: number,
): Checkpoint {
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of trainer.state.snapshot()) tensors.set(CURRENT + name, value);
  for (const [name, value] of best ?? []) tensors.set(BEST + name, value);
  for (const [name, value] of history.snapshot()) tensors.set(CHOSEN + name, value);
  return { tensors, metrics: [...metrics], seconds };
}

/**
 * Puts a trainer back to the state of a checkpoint.
 *
 * @returns the state at the best epoch so far.
 */
export function restoreCheckpoint(trainer: Trainer, checkpoint: Checkpoint): EpochState | undefined {
  trainer.state.restore(tensorsUnder(checkpoint, CURRENT));
  const best = tensorsUnder(checkpoint, BEST);
  return best.size > 0 ? best : undefined;
}

/** The masks of a checkpoint's epochs; its logits are those of the last one. */
export function restoreHistory(trainer: Trainer, checkpoint: Checkpoint): MaskHistory {
  const k = checkpoint.metrics.at(-1)?.k;
  const masks =
    k === undefined
      ? trainer.masks()
      : trainer.layers.map((layer) => {
          const logits = trainer.state.get(logitsName(layer.weight));
          return maskOfLogits(layer, logits, k[layer.name]);
        });
  const history = new MaskHistory(masks);
  history.restore(tensorsUnder(checkpoint, CHOSEN));
  return history;
}

function tensorsUnder({ tensors }: Checkpoint, prefix: string): Map<string, Tensor> {
  return new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}
