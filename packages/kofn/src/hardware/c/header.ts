/** Writes the header of a C program: what its functions take and give, and what they cost. */

import { formatNormalization } from "../../data/normalization.js";
import { VERSION } from "../../version.js";
import type { Codes } from "../codes.js";
import type { Program } from "../program.js";
import type { COptions } from "./options.js";

interface Costs {
  /** Of the input, where it is quantized before anything else is done. */
  readonly codes: Codes | undefined;
  readonly tableBytes: number;
  readonly memoryBytes: number;
}

export function headerText(program: Program, options: COptions, costs: Costs): string {
  const { name, title, labels } = options;
  const { codes, tableBytes, memoryBytes } = costs;
  const upper = name.toUpperCase();
  const { input, output, inputDims, outputDims, omitted, normalization } = program;
  const type = codes?.type === "int8" ? "int8_t" : "uint8_t";
  const result =
    omitted === undefined
      ? ""
      : ` The model's last ${omitted} is left out: the largest output is that of the likeliest class.`;
  const shape = (dims: readonly number[]): string => `[${dims.join(", ")}]`;
  const normalised =
    normalization === undefined
      ? "as the model was trained; the model does not say how its pixels were normalised"
      : `pixels / 255${formatNormalization(normalization) === "none" ? "" : ", less the mean and over the deviation of their channel"}`;
  const lines = [
    `/*`,
    ` * ${title.replace(/[^ -~]/g, "?").replaceAll("*/", "* /")}, written by kofn ${VERSION}.`,
    ` *`,
    ` * C99, without allocation and libraries. Running takes static memory, so two threads must not run it at the same time.`,
    ` * Results are those of kofn's reference bit by bit where float operations are rounded one by one (gcc: -std=c99, or`,
    ` * -ffp-contract=off).`,
    ` */`,
    `#ifndef ${upper}_H`,
    `#define ${upper}_H`,
    ``,
    `#include <stdint.h>`,
    ``,
    `#ifdef __cplusplus`,
    `extern "C" {`,
    `#endif`,
    ``,
    `#define ${upper}_INPUT_SIZE ${input.size}`,
    `#define ${upper}_OUTPUT_SIZE ${output.size}`,
    `/* Bytes of constant tables, and of static memory besides. */`,
    `#define ${upper}_TABLE_BYTES ${tableBytes}`,
    `#define ${upper}_MEMORY_BYTES ${memoryBytes}`,
    ``,
    `/*`,
    ` * input: ${shape(inputDims)}, one sample, row by row: ${normalised}.`,
    ` * output: ${shape(outputDims)}.${result}`,
    ` */`,
    `void ${name}_run(const float *input, float *output);`,
  ];
  if (codes !== undefined) {
    const { scale, zero, threshold } = codes;
    const meaning =
      threshold === undefined
        ? `input / ${scale} + ${zero}, rounded to the nearest, ties to even, from ${codes.low} to ${codes.high}`
        : `${codes.high} from ${threshold} on, else ${codes.low}`;
    lines.push(
      ``,
      `/* The same from codes, without the float input: ${meaning}. */`,
      `void ${name}_quantise(const float *input, ${type} *codes);`,
      `void ${name}_run_codes(const ${type} *codes, float *output);`,
    );
  }
  if (normalization !== undefined) {
    lines.push(
      ``,
      `/* Makes an input of pixels from 0 to 255, in the order of the input. */`,
      `void ${name}_normalise(const uint8_t *pixels, float *input);`,
    );
  }
  if (labels !== undefined) {
    lines.push(
      ``,
      `/* Names of the classes. */`,
      `extern const char *const ${name}_labels[${labels.length}];`,
    );
  }
  return [...lines, ``, `#ifdef __cplusplus`, `}`, `#endif`, ``, `#endif`, ``].join("\n");
}
