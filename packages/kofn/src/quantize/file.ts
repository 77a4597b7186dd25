/** quantization.safetensors: the codes, scales and zero points of a model. */

import { ACTIVATION_FORMATS, WEIGHT_FORMATS } from "@kofn/format/run/words.js";
import { z } from "zod";
import { InputError, messageOf } from "../errors.js";
import { decodeSafetensors, encodeSafetensors } from "../onnx/safetensors.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import type { Quantization } from "./types.js";

/** The tensor that is none, but JSON: all that is neither codes nor scales. */
const JSON_TENSOR = "json";

const DESCRIPTION = z.strictObject({
  weights: z.array(
    z.strictObject({
      layer: z.string(),
      weight: z.string(),
      format: z.enum(WEIGHT_FORMATS),
      axis: z.number().int().min(0),
    }),
  ),
  activations: z.array(
    z.strictObject({
      tensor: z.string(),
      layer: z.string(),
      result: z.literal(true).exactOptional(),
      format: z.enum(ACTIVATION_FORMATS),
      scale: z.number().positive(),
      zeroPoint: z.number(),
    }),
  ),
});

/**
 * Encodes a quantization: for each weight "NAME/codes" (int8) and "NAME/scale" (float32), and a description in "json".
 *
 * @example
 * writeFileSync("quantization.safetensors", encodeQuantization(run.quantization));
 */
export function encodeQuantization({ weights, activations }: Quantization): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const { weight, scale, codes } of weights) {
    tensors.set(`${weight}/codes`, tensor("int8", [codes.length], codes));
    tensors.set(`${weight}/scale`, tensor("float32", [scale.length], scale));
  }
  const described = weights.map(({ layer, weight, format, axis }) => ({ layer, weight, format, axis }));
  const json = new TextEncoder().encode(JSON.stringify({ weights: described, activations }));
  return encodeSafetensors(tensors.set(JSON_TENSOR, tensor("uint8", [json.length], json)));
}

/**
 * Decodes what {@link encodeQuantization} has written.
 *
 * @param source where the bytes come from, to open the message of an error with.
 * @throws InputError if the file is damaged.
 */
export function decodeQuantization(bytes: Uint8Array, source: string): Quantization {
  const tensors = decodeSafetensors(bytes, source);
  const { weights, activations } = described(tensors.get(JSON_TENSOR), source);
  const missing = (name: string, dtype: string): InputError =>
    new InputError(`${source}: expected "${name}" as a list of ${dtype}, but there is none.`);
  return {
    weights: weights.map((one) => {
      const codes = tensors.get(`${one.weight}/codes`);
      const scale = tensors.get(`${one.weight}/scale`);
      if (codes?.dtype !== "int8") throw missing(`${one.weight}/codes`, "int8");
      if (scale?.dtype !== "float32") throw missing(`${one.weight}/scale`, "float32");
      return {
        ...one,
        codes: (codes as Tensor<"int8">).array(),
        scale: (scale as Tensor<"float32">).array(),
      };
    }),
    activations,
  };
}

function described(json: Tensor | undefined, source: string): z.output<typeof DESCRIPTION> {
  if (json === undefined) throw new InputError(`${source}: expected a quantization, but it lacks "json".`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(json.bytes));
  } catch (cause) {
    throw new InputError(`${source}: "json" is damaged: ${messageOf(cause)}.`, { cause });
  }
  const parsed = DESCRIPTION.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`${source}: json: ${issue.path.map(String).join(".")}: ${issue.message}.`);
}
