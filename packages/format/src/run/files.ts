/** The names of the files in a run directory. */

/** The files of a run, each with what it holds. */
export const RUN_FILES = {
  /** The model with its masks applied and its maps removed. */
  model: "model.onnx",
  report: "report.json",
  /** A uint8 tensor of 0 and 1 for each pruned weight, named after it. */
  masks: "masks.safetensors",
  /** A line of JSON per epoch. */
  metrics: "metrics.jsonl",
  config: "config.json",
} as const;

/** In the directory of a run that quantized anything: codes, scales and zero points. */
export const QUANTIZATION = "quantization.safetensors";

/** There, too: the model with integers for weights, as `kofn export --format qdq` writes it. */
export const QUANTIZED_MODEL = "model.quantized.onnx";

/** In the directory of a run that pruned anything: a picture of each mask after each epoch. */
export const HEATMAPS = "heatmaps.bin";

/** The report as a page to look at. */
export const PAGE = "report.html";

/** In the directory of a run that pruned maps: the model at its original shapes, removed maps being 0. */
export const MASKED_MODEL = "model.masked.onnx";

/** In a run directory: the folder of checkpoints, and the one in it, from which a run goes on that was stopped. */
export const CHECKPOINT_FOLDER = "checkpoint";
export const CHECKPOINT_FILE = "state.safetensors";

/** Files that lie in a run directory only while a process has it open to write, or after one was killed. */
export const LIVE_FILES = {
  /** Which process that is, and how far it is. There can be one at a time: the file is the directory's lock. */
  running: "running.json",
  /** Made by the studio: asks that process to stop. */
  stop: "stop.request",
} as const;

export const LIVE_ENTRIES: ReadonlySet<string> = new Set(Object.values(LIVE_FILES));
