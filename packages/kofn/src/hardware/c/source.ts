/** Writes a program as a pair of C99 files without allocation and without dependencies. */

import { VERSION } from "../../version.js";
import { codeRange } from "../activation.js";
import { planArena } from "../arena.js";
import type { Codes } from "../codes.js";
import type { Activation, Linear, Pool, Program, Step, Value, Window } from "../program.js";
import { indexBits, longestRow } from "../rows.js";
import { headerText } from "./header.js";
import {
  averageArguments,
  averagePoolKernel,
  codeSumKernel,
  floatSumKernel,
  type Kernel,
  linearArguments,
  linearKernel,
  type LinearTypes,
  mapKernel,
  maxPoolKernel,
  SUPPORT,
  supportOf,
  type Type,
} from "./kernels.js";
import { Identifiers } from "./names.js";
import type { COptions, LayerTables } from "./options.js";
import { floatLiteral, table } from "./tables.js";

/** A program in C. */
export interface CSource {
  readonly header: string;
  readonly source: string;
  readonly layers: readonly LayerTables[];
  /** Bytes of all tables, which are constant. */
  readonly tableBytes: number;
  /** Bytes of static memory that running takes. */
  readonly memoryBytes: number;
}

/**
 * Writes a program in C.
 *
 * @example
 * const { source, header } = writeC(program, { name: "lenet", file: "lenet", title: "lenet-300-100" });
 */
export function writeC(program: Program, options: COptions): CSource {
  return new Writer(program, options).written();
}

const TYPES = { uint8: "uint8_t", int8: "int8_t" } as const;

function typeOf({ codes }: Value): Type {
  return codes === undefined ? "float" : TYPES[codes.type];
}

/** Bytes of a tap of a row. */
const TAP_BYTES = 12;

class Writer {
  readonly #program: Program;
  readonly #options: COptions;
  readonly #arena: ReturnType<typeof planArena>;
  readonly #names = new Identifiers();
  readonly #kernels = new Map<string, Kernel>();
  readonly #tables: string[] = [];
  readonly #calls: string[] = [];
  readonly #layers: LayerTables[] = [];
  /** Tables and small structures by their text, to write equal ones once. */
  readonly #known = new Map<string, string>();
  readonly #needs = new Set<keyof typeof SUPPORT>();
  #bytes = 0;
  #taps = 0;

  constructor(program: Program, options: COptions) {
    this.#program = program;
    this.#options = options;
    this.#arena = planArena(program);
  }

  written(): CSource {
    const { steps, input } = this.#program;
    // An input that is quantized first is quantized by a function of its own, so that codes can be given, too.
    const first = quantizesInput(this.#program) ? steps[0] : undefined;
    for (const step of steps) this.#write(step);
    const codes = first?.output.codes;
    const calls = this.#calls;
    const tapsBytes = this.#taps * TAP_BYTES;
    const memoryBytes = this.#arena.bytes + tapsBytes + (first?.output.size ?? 0);
    const header = headerText(this.#program, this.#options, {
      codes,
      tableBytes: this.#bytes,
      memoryBytes,
    });
    const { name, file } = this.#options;
    const body = this.#functions(name, first, calls);
    const support = supportOf([...this.#needs, ...[...this.#kernels.values()].flatMap(({ needs }) => needs)]);
    const usesMemcpy = steps.some(({ op }) => op === "concat");
    const parts = [
      `/* ${comment(this.#options.title)}, written by kofn ${VERSION}. ${file}.h says how it is used. */`,
      [
        `#include "${file}.h"`,
        ...(input.size > 0 && usesMemcpy ? ["#include <string.h>"] : []),
        "#include <stddef.h>",
        "#include <stdint.h>",
      ].join("\n"),
      ...support.map((each) => SUPPORT[each]),
      ...[...this.#kernels.values()].map(({ text }) => text),
      ...this.#tables,
      ...(this.#arena.bytes === 0 ? [] : [`static float arena[${this.#arena.bytes / 4}];`]),
      ...(this.#taps === 0 ? [] : [`static struct tap taps[${this.#taps}];`]),
      ...body,
    ];
    return {
      header,
      source: `${parts.join("\n\n")}\n`,
      layers: this.#layers,
      tableBytes: this.#bytes,
      memoryBytes,
    };
  }

  #functions(name: string, first: Step | undefined, calls: readonly string[]): string[] {
    const { normalization } = this.#program;
    const lines = (statements: readonly string[]): string => statements.map((line) => `  ${line}`).join("\n");
    const functions: string[] = [];
    if (first === undefined) {
      functions.push(`void ${name}_run(const float *input, float *output) {\n${lines(calls)}\n}`);
    } else {
      const type = typeOf(first.output);
      const [quantize, ...rest] = calls;
      functions.push(
        `void ${name}_quantise(const float *input, ${type} *codes) {\n${lines([quantize])}\n}`,
        `void ${name}_run_codes(const ${type} *codes, float *output) {\n${lines(rest)}\n}`,
        `void ${name}_run(const float *input, float *output) {\n  static ${type} codes[${first.output.size}];\n${lines(
          [`${name}_quantise(input, codes);`, `${name}_run_codes(codes, output);`],
        )}\n}`,
      );
    }
    if (normalization !== undefined) {
      const channels = normalization.mean.length;
      const plane = this.#program.input.size / channels;
      const list = (values: readonly number[]): string =>
        values.map((value) => floatLiteral(Math.fround(value))).join(", ");
      functions.push(`void ${name}_normalise(const uint8_t *pixels, float *input) {
  static const float mean[${channels}] = {${list(normalization.mean)}};
  static const float deviation[${channels}] = {${list(normalization.std)}};
  int32_t i;
  for (i = 0; i < ${this.#program.input.size}; i++) {
    input[i] = ((float)pixels[i] / 255.0f - mean[i / ${plane}]) / deviation[i / ${plane}];
  }
}`);
    }
    const { labels } = this.#options;
    if (labels !== undefined) {
      const quoted = labels.map((label) => `"${comment(label).replace(/["\\]/g, "\\$&")}"`);
      functions.push(
        `const char *const ${name}_labels[${labels.length}] = {\n${lines(quoted.map((label) => `${label},`))}\n};`,
      );
    }
    return functions;
  }

  /** How a step names a value: a pointer to its elements. */
  #pointer(value: Value): string {
    const { input, output } = this.#program;
    if (value === input) return "input";
    if (value === output) return "output";
    if (quantizesInput(this.#program) && value === this.#program.steps[0].output) return "codes";
    const offset = (this.#arena.offsets.get(value) ?? 0) / 4;
    const at = offset === 0 ? "arena" : `arena + ${offset}`;
    return value.codes === undefined ? at : `(${typeOf(value)} *)(${at})`;
  }

  #use(kernel: Kernel): string {
    this.#kernels.set(kernel.name, kernel);
    return kernel.name;
  }

  #call(kernel: Kernel, args: readonly string[]): void {
    this.#calls.push(`${this.#use(kernel)}(${args.join(", ")});`);
  }

  /** The name of a table with these values; an empty name's table is NULL. */
  #table(type: string, name: string, values: ArrayLike<number> | undefined, bytes: number): string {
    if (values === undefined) return "NULL";
    this.#tables.push(table(type, name, values));
    this.#bytes += Math.max(1, values.length) * bytes;
    return name;
  }

  /** The address of a constant structure, which is written once. */
  #constant(type: "activation" | "codes" | "window", fields: string): string {
    this.#needs.add(type);
    const key = `${type} ${fields}`;
    let name = this.#known.get(key);
    if (name === undefined) {
      name = this.#names.take(
        `${type}_${[...this.#known.keys()].filter((known) => known.startsWith(`${type} `)).length + 1}`,
      );
      this.#known.set(key, name);
      this.#tables.push(`static const struct ${type} ${name} = {${fields}};`);
    }
    return `&${name}`;
  }

  #activation(activation: Activation): string {
    const kind = activation.kind.toUpperCase();
    const fields = [`.kind = ${kind}`];
    if (activation.kind === "clip") {
      fields.push(`.low = ${floatLiteral(activation.low)}`, `.high = ${floatLiteral(activation.high)}`);
    }
    if (activation.kind === "leaky") fields.push(`.slope = ${floatLiteral(activation.slope)}`);
    return this.#constant("activation", fields.join(", "));
  }

  #codes({ scale, zero, low, high, threshold }: Codes): string {
    const fields = [
      `.scale = ${floatLiteral(scale)}`,
      `.zero = ${zero}`,
      `.low = ${low}`,
      `.high = ${high}`,
      ...(threshold === undefined ? [] : [".binary = 1", `.threshold = ${floatLiteral(threshold)}`]),
    ];
    return this.#constant("codes", fields.join(", "));
  }

  #window(window: Window): string {
    const { channels, height, width, outHeight, outWidth, kernelHeight, kernelWidth } = window;
    const { strideY, strideX, padY, padX, dilationY, dilationX } = window;
    const sizes = [channels, height, width, outHeight, outWidth, kernelHeight, kernelWidth];
    return this.#constant(
      "window",
      [...sizes, strideY, strideX, padY, padX, dilationY, dilationX].join(", "),
    );
  }

  #write(step: Step): void {
    switch (step.op) {
      case "linear":
        this.#linear(step);
        return;
      case "pool":
        this.#pool(step);
        return;
      case "sum": {
        const output = this.#pointer(step.output);
        const count = String(step.output.size);
        const inputs = step.inputs.map((input) => this.#pointer(input));
        const { multipliers, shift = 0, activation } = step;
        const { codes } = step.output;
        if (multipliers !== undefined && codes !== undefined) {
          const [low, high] = codeRange(activation, codes);
          const lists = step.inputs.map(
            (input, i) => `${inputs[i]}, ${input.codes?.zero ?? 0}, ${multipliers[i]}`,
          );
          this.#call(codeSumKernel(step.inputs.map(typeOf), typeOf(step.output)), [
            count,
            ...lists,
            output,
            ...[shift, codes.zero, low, high].map(String),
          ]);
          return;
        }
        const to = codes === undefined ? [] : [this.#codes(codes)];
        this.#call(floatSumKernel(typeOf(step.output)), [
          count,
          ...inputs,
          output,
          this.#activation(activation),
          ...to,
        ]);
        return;
      }
      case "map": {
        const { codes: from } = step.input;
        const { codes: to } = step.output;
        const [input, output] = [typeOf(step.input), typeOf(step.output)];
        const rest: string[] = [];
        if (from !== undefined && to !== undefined)
          rest.push(...codeRange(step.activation, from).map(String));
        else {
          if (from !== undefined) rest.push(this.#codes(from));
          rest.push(this.#activation(step.activation));
          if (to !== undefined) rest.push(this.#codes(to));
        }
        this.#call(mapKernel(input, output), [
          String(step.input.size),
          this.#pointer(step.input),
          this.#pointer(step.output),
          ...rest,
        ]);
        return;
      }
      case "concat": {
        const output = this.#pointer(step.output);
        const bytes = step.output.codes === undefined ? 4 : 1;
        let at = 0;
        for (const input of step.inputs) {
          this.#calls.push(
            `memcpy(${output}${at === 0 ? "" : ` + ${at}`}, ${this.#pointer(input)}, ${input.size * bytes});`,
          );
          at += input.size;
        }
      }
    }
  }

  #linear(step: Linear): void {
    const { weights, window, bias, scale, rescaling, activation } = step;
    const { places, rows, fanIn, values } = weights;
    const name = this.#names.take(step.layer);
    const before = this.#bytes;
    const isPoint = window.height * window.width * window.kernelHeight * window.kernelWidth === 1;
    const isInteger = step.input.codes !== undefined;
    const bits = places.kind === "all" ? undefined : indexBits(places.kind === "balanced" ? places.n : fanIn);
    const types: LinearTypes = {
      form: isPoint && step.rowsPerGroup === rows ? "matrix" : "image",
      input: typeOf(step.input),
      weight: values instanceof Float32Array ? "float" : "int8_t",
      output: typeOf(step.output),
      finish: rescaling !== undefined ? "rescaled" : scale !== undefined ? "scaled" : "plain",
      ...(bits === undefined ? {} : { index: `uint${bits}_t` }),
    };
    const valueTable = this.#table(types.weight, `${name}_values`, values, values.BYTES_PER_ELEMENT);
    const valueBytes = this.#bytes - before;
    const indices = places.kind === "all" ? undefined : places.indices;
    const indexTable = this.#table(types.index ?? "", `${name}_indices`, indices, (bits ?? 0) / 8);
    const starts = places.kind === "ragged" ? places.starts : undefined;
    const startTable = this.#table("uint32_t", `${name}_starts`, starts, 4);
    const indexBytes = this.#bytes - before - valueBytes;
    if (indices !== undefined && types.form === "image")
      this.#taps = Math.max(this.#taps, 1, longestRow(weights));
    const groups =
      places.kind === "balanced"
        ? `${fanIn / (places.n * places.span)}, ${places.n}, ${places.k}, ${places.span}, ${places.share}`
        : `1, ${fanIn}, 0, 1, 1`;
    this.#tables.push(
      `static const struct rows ${name}_rows = {${rows}, ${fanIn}, ${groups}, ${startTable}};`,
    );
    const { codes } = step.output;
    const range = codes === undefined ? [0, 0] : codeRange(activation, codes);
    const given: Readonly<Record<string, () => string>> = {
      indices: () => indexTable,
      taps: () => "taps",
      bias: () => this.#table(isInteger ? "int32_t" : "float", `${name}_bias`, bias, 4),
      scale: () => this.#table("float", `${name}_scale`, scale, 4),
      multipliers: () => this.#table("int32_t", `${name}_multipliers`, rescaling?.multipliers, 4),
      shifts: () => this.#table("uint8_t", `${name}_shifts`, rescaling?.shifts, 1),
      low: () => String(range[0]),
      high: () => String(range[1]),
      by: () => this.#activation(activation),
      to: () => (codes === undefined ? "NULL" : this.#codes(codes)),
      zero: () => String(step.input.codes?.zero ?? 0),
      rows_per_group: () => String(step.rowsPerGroup),
    };
    this.#call(linearKernel(types), [
      `&${name}_rows`,
      ...(types.form === "image" ? [this.#window(window)] : []),
      this.#pointer(step.input),
      this.#pointer(step.output),
      valueTable,
      ...linearArguments(types).map((argument) => given[argument]()),
    ]);
    this.#layers.push({
      layer: step.layer,
      kept: keptText(step),
      arithmetic: isInteger ? "int8" : values instanceof Int8Array ? "int8 x float" : "float",
      values: valueBytes,
      indices: indexBytes,
      rest: this.#bytes - before - valueBytes - indexBytes,
    });
  }

  #pool(step: Pool): void {
    const { input, output, window, rescaling, scale, countsPadding } = step;
    const pointers = [this.#window(window), this.#pointer(input), this.#pointer(output)];
    if (step.kind === "max") {
      this.#call(maxPoolKernel(typeOf(input)), pointers);
      return;
    }
    const types = { input: typeOf(input), output: typeOf(output) };
    const given = {
      zero: () => String(input.codes?.zero ?? 0),
      scale: () => floatLiteral(scale ?? 1),
      multiplier: () => String(rescaling?.multipliers[0] ?? 0),
      shift: () => String(rescaling?.shifts[0] ?? 1),
      to: () => (output.codes === undefined ? "NULL" : this.#codes(output.codes)),
      counts_padding: () => (countsPadding ? "1" : "0"),
    };
    this.#call(averagePoolKernel(types), [
      ...pointers,
      ...averageArguments(types).map((argument) => given[argument]()),
    ]);
  }
}

/** Whether the first step quantizes the input, and nothing else reads it. */
export function quantizesInput({ steps, input }: Program): boolean {
  const [first, ...rest] = steps;
  const isQuantized =
    first.op === "map" && first.input === input && first.output.codes !== undefined && first.output !== input;
  return (
    isQuantized && rest.every((step) => !("inputs" in step ? step.inputs : [step.input]).includes(input))
  );
}

function keptText({ weights: { places, values, rows } }: Linear): string {
  if (places.kind === "all") return "all";
  if (places.kind === "ragged") return `${values.length} in ${rows} rows`;
  const { k, n, span, share } = places;
  return `${k} of ${n}${span > 1 ? " kernels" : ""}${share > 1 ? `, share ${share}` : ""}`;
}

/** Text that can stand in a comment or a string on one line. */
function comment(text: string): string {
  return text
    .replace(/[^ -~]/g, "?")
    .replaceAll("*/", "* /")
    .replaceAll("/*", "/ *")
    .replaceAll("??", "? ?");
}
