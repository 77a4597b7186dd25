/** What goes into a .kofn file and comes out of it, and how it is stored there. */

import type { PositionCodec } from "@kofn/format/file/fields.js";
import type { PackedMask } from "@kofn/format/file/units.js";
import type { WeightFormat } from "@kofn/format/run/words.js";
import type { Model, ValueType } from "../onnx/model.js";
import type { Quantization } from "../quantize/types.js";
import type { Provenance } from "./info-section.js";
import type { FloatFormat } from "./values.js";

/** A model with all that a .kofn file says of it. */
export interface KofnContents {
  /** In operator set 21, its masks applied, its activations not quantized. */
  readonly model: Model;
  /** By the name of the weight. */
  readonly masks: ReadonlyMap<string, PackedMask>;
  readonly quantization: Quantization;
  readonly provenance: Provenance;
  /** Names of the classes, in the order of the logits; none if they are not known. */
  readonly labels: readonly string[];
}

/** How a .kofn file is written. */
export interface PackOptions {
  /** How the places of kept weights are coded. Default "auto": for each layer the smallest. */
  readonly positions?: PositionCodec | "auto";
  /** How all floats are stored: weights, biases, scales. Default "float32"; "float16" loses precision. */
  readonly values?: FloatFormat;
  /** Whether values are range coded where that takes fewer bytes. Default false. */
  readonly entropy?: boolean;
}

/** What one float32 tensor of the model takes in a .kofn file. */
export interface StoredTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly format: FloatFormat | WeightFormat;
  /** Of one value, before range coding. */
  readonly bits: number;
  /** Values that are stored. */
  readonly kept: number;
  readonly mask?: PackedMask & { readonly codec: PositionCodec };
  readonly bytes: {
    readonly values: number;
    /** Positions, and the k of each group where they differ. */
    readonly positions: number;
    readonly scales: number;
  };
}

/** A .kofn file that was written. */
export interface Packed {
  readonly bytes: Uint8Array;
  readonly tensors: readonly StoredTensor[];
  /** By how much a weight or bias differs at most from the model's: 0 unless float16 was asked for. */
  readonly largestError: number;
}

/** A .kofn file that was read. */
export interface Unpacked extends KofnContents {
  readonly tensors: readonly StoredTensor[];
  /** Types of the values that nodes make, for images in batches of any size. */
  readonly types: ReadonlyMap<string, ValueType>;
}
