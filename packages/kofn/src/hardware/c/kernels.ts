/**
 * The functions of a C program. Each is written for the types that it is used with, and only those that are used are written. The
 * order of operations is that of reference.ts.
 */

/** A type of elements in C. */
export type Type = "float" | "uint8_t" | "int8_t";

const SHORT = { float: "f32", uint8_t: "u8", int8_t: "i8", uint16_t: "u16", uint32_t: "u32" } as const;

/** What a layer's function is written for. */
export interface LinearTypes {
  readonly form: "matrix" | "image";
  readonly input: Type;
  readonly weight: "float" | "int8_t";
  readonly output: Type;
  /** Of indices; undefined where all weights are kept. */
  readonly index?: "uint8_t" | "uint16_t" | "uint32_t";
  /** Sums are scaled, or rescaled by integers, or taken as they are. */
  readonly finish: "plain" | "scaled" | "rescaled";
}

/** A function of the program: what it is called, and what must stand before it. */
export interface Kernel {
  readonly name: string;
  readonly text: string;
  readonly needs: readonly Support[];
}

/** Parts that functions share. */
export type Support = keyof typeof SUPPORT;

/** In the order in which they are written, each behind what it needs. */
export const SUPPORT = {
  codes: `/* Codes of values: each is scale * (code - zero). */
struct codes {
  float scale, threshold;
  int32_t zero, low, high;
  int32_t binary; /* the higher code from the threshold on, else the lower one */
};`,
  window: `/* A window that slides over an image. Channels are those under the window. */
struct window {
  int32_t channels, height, width, out_height, out_width, kernel_height, kernel_width;
  int32_t stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};`,
  rows: `/* Which weights of a row are kept: k units of each of \`groups\` groups of n units, a unit being \`span\` weights. */
struct rows {
  int32_t count, fan_in, groups, n, k, span;
  int32_t share;          /* so many rows have the same indices */
  const uint32_t *starts; /* where each row begins, if rows are of different lengths: then k is not used */
};`,
  activation: `enum { NONE, RELU, CLIP, LEAKY };
struct activation {
  int32_t kind;
  float low, high, slope;
};

static float activated(float value, const struct activation *by) {
  switch (by->kind) {
    case RELU: return value < 0.0f ? 0.0f : value;
    case CLIP: return value < by->low ? by->low : value > by->high ? by->high : value;
    case LEAKY: return value < 0.0f ? value * by->slope : value;
    default: return value;
  }
}`,
  clamped: `static int32_t clamped(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}`,
  quantized: `/* The nearest code, ties to even. */
static int32_t quantized(float value, const struct codes *to) {
  float steps, rest;
  int32_t code;
  if (to->binary) return value >= to->threshold ? to->high : to->low;
  steps = value / to->scale;
  if (!(steps > -1024.0f)) return to->low;
  if (steps >= 1024.0f) return to->high;
  code = (int32_t)steps;
  rest = steps - (float)code;
  if (rest > 0.5f || (rest == 0.5f && code % 2 != 0)) code++;
  else if (rest < -0.5f || (rest == -0.5f && code % 2 != 0)) code--;
  return clamped(code + to->zero, to->low, to->high);
}`,
  rescaled: `/* floor((sum * multiplier + 2^(shift - 1)) / 2^shift), as a code. */
static int32_t rescaled(int32_t sum, int32_t multiplier, uint8_t shift, const struct codes *to) {
  int64_t value;
  if (to->binary && to->low < 0) return sum < 0 ? to->low : to->high;
  value = (int64_t)sum * multiplier + ((int64_t)1 << (shift - 1));
  value = (value < 0 ? ~(~value >> shift) : value >> shift) + to->zero;
  if (to->binary) return value > 0 ? to->high : to->low;
  return value < to->low ? to->low : value > to->high ? to->high : (int32_t)value;
}`,
  tap: `/* A weight of a row: where it lies under the window. */
struct tap {
  int32_t offset, y, x;
};`,
} as const;

/** What each shared part needs before it. */
const BELOW: Readonly<Partial<Record<Support, readonly Support[]>>> = {
  quantized: ["codes", "clamped"],
  rescaled: ["codes"],
};

/** The shared parts that functions need, in order. */
export function supportOf(needs: Iterable<Support>): Support[] {
  const wanted = new Set<Support>();
  for (const need of needs) {
    for (const below of BELOW[need] ?? []) wanted.add(below);
    wanted.add(need);
  }
  return (Object.keys(SUPPORT) as Support[]).filter((name) => wanted.has(name));
}

/** The code of a float32 result, or the result itself. */
function stored(output: Type, value: string): string {
  return output === "float" ? value : `(${output})quantized(${value}, to)`;
}

function isFloat(type: Type): boolean {
  return type === "float";
}

/** The arguments of a layer's function, behind input, output and values. */
export function linearArguments({ form, input, output, index, finish }: LinearTypes): string[] {
  return [
    ...(index === undefined ? [] : ["indices"]),
    ...(form === "image" && index !== undefined ? ["taps"] : []),
    "bias",
    ...(finish === "scaled" ? ["scale"] : []),
    ...(finish === "rescaled" ? ["multipliers", "shifts"] : []),
    ...(finish === "rescaled" ? ["low", "high"] : ["by"]),
    ...(output === "float" ? [] : ["to"]),
    ...(input === "float" ? [] : ["zero"]),
    ...(form === "image" ? ["rows_per_group"] : []),
  ];
}

/** A layer, [channels, height, width] to [rows, out_height, out_width]. */
export function linearKernel(types: LinearTypes): Kernel {
  const { form, input, weight, output, index, finish } = types;
  const isInteger = input !== "float";
  const sumType = isInteger ? "int32_t" : "float";
  const name = [
    form,
    index === undefined ? "all" : `kept_${SHORT[index]}`,
    SHORT[input],
    SHORT[weight],
    SHORT[output],
    finish,
  ].join("_");
  const declarations: Readonly<Record<string, string>> = {
    indices: `const ${index ?? ""} *indices`,
    taps: "struct tap *taps",
    bias: `const ${sumType} *bias`,
    scale: "const float *scale",
    multipliers: "const int32_t *multipliers",
    shifts: "const uint8_t *shifts",
    low: "int32_t low",
    high: "int32_t high",
    by: "const struct activation *by",
    to: "const struct codes *to",
    zero: "int32_t zero",
    rows_per_group: "int32_t rows_per_group",
  };
  const parameters = [
    "const struct rows *rows",
    ...(form === "image" ? ["const struct window *window"] : []),
    `const ${input} *input`,
    `${output} *output`,
    `const ${weight} *values`,
    ...linearArguments(types).map((argument) => declarations[argument]),
  ];
  const isRescaled = finish === "rescaled";
  const text: SumText = {
    begin: `${isRescaled ? "" : "float result; "}${sumType} sum = ${isInteger ? "bias ? bias[row] : 0" : "0.0f"};`,
    add: (w, x) =>
      isInteger
        ? `sum += (int32_t)${w} * ((int32_t)${x} - zero);`
        : `sum += ${weight === "float" ? w : `(float)${w}`} * ${x};`,
    end: (indent, target) =>
      (isRescaled
        ? [`${target} = (${output})clamped(rescaled(sum, multipliers[row], shifts[row], to), low, high);`]
        : [
            `result = ${isInteger ? "(float)sum" : "sum"}${finish === "scaled" ? " * scale[row]" : ""};`,
            ...(isInteger ? [] : ["if (bias) result += bias[row];"]),
            `${target} = ${stored(output, "activated(result, by)")};`,
          ]
      )
        .map((line) => indent + line)
        .join("\n"),
  };
  const body = form === "matrix" ? matrixBody(types, text) : imageBody(types, text);
  return {
    name,
    text: `static void ${name}(${parameters.join(", ")}) {\n${body}\n}`,
    needs: [
      "rows",
      ...(form === "image" ? (["window"] as const) : []),
      ...(form === "image" && index !== undefined ? (["tap"] as const) : []),
      ...(finish === "rescaled" ? (["clamped", "rescaled"] as const) : (["activation"] as const)),
      ...(output !== "float" && finish !== "rescaled" ? (["quantized"] as const) : []),
    ],
  };
}

/** The lines of a sum: its beginning, a product more, and what becomes of it. */
interface SumText {
  readonly begin: string;
  readonly add: (weight: string, input: string) => string;
  readonly end: (indent: string, target: string) => string;
}

type Body = (types: LinearTypes, text: SumText) => string;

const matrixBody: Body = ({ input, weight, index }, { begin, add, end }) => {
  if (index === undefined) {
    return `  int32_t row, i;
  for (row = 0; row < rows->count; row++) {
    const ${weight} *kept = values + row * rows->fan_in;
    ${begin}
    for (i = 0; i < rows->fan_in; i++) ${add("kept[i]", "input[i]")}
${end("    ", "output[row]")}
  }`;
  }
  return `  int32_t row, group, i;
  for (row = 0; row < rows->count; row++) {
    int32_t length = rows->starts ? (int32_t)(rows->starts[row + 1] - rows->starts[row]) : rows->k;
    int32_t first = rows->starts ? (int32_t)rows->starts[row] : row * rows->groups * length;
    const ${weight} *kept = values + first;
    const ${index} *at = indices + (rows->starts ? first : row / rows->share * rows->groups * length);
    ${begin}
    for (group = 0; group < rows->groups; group++) {
      const ${input} *read = input + group * rows->n;
      for (i = 0; i < length; i++) ${add("kept[i]", "read[at[i]]")}
      kept += length;
      at += length;
    }
${end("    ", "output[row]")}
  }`;
};

const imageBody: Body = ({ input, weight, index }, { begin, add, end }) => {
  const head = `  int32_t plane = window->height * window->width, row, y, x;
  for (row = 0; row < rows->count; row++) {
    const ${input} *read = input + row / rows_per_group * window->channels * plane;`;
  if (index === undefined) {
    return `${head}
    for (y = 0; y < window->out_height; y++) {
      for (x = 0; x < window->out_width; x++) {
        const ${weight} *kept = values + row * rows->fan_in;
        int32_t channel, ky, kx;
        ${begin}
        for (channel = 0; channel < window->channels; channel++) {
          for (ky = 0; ky < window->kernel_height; ky++) {
            int32_t at_y = y * window->stride_y - window->pad_y + ky * window->dilation_y;
            for (kx = 0; kx < window->kernel_width; kx++, kept++) {
              int32_t at_x = x * window->stride_x - window->pad_x + kx * window->dilation_x;
              if (at_y < 0 || at_x < 0 || at_y >= window->height || at_x >= window->width) continue;
              ${add("*kept", "read[channel * plane + at_y * window->width + at_x]")}
            }
          }
        }
${end("        ", "*output++")}
      }
    }
  }`;
  }
  return `${head}
    int32_t length = rows->starts ? (int32_t)(rows->starts[row + 1] - rows->starts[row]) : rows->k;
    int32_t first = rows->starts ? (int32_t)rows->starts[row] : row * rows->groups * length * rows->span;
    const ${weight} *kept = values + first;
    const ${index} *at = indices + (rows->starts ? first : row / rows->share * rows->groups * length);
    int32_t cells = window->kernel_height * window->kernel_width;
    int32_t count = 0, reach_y = 0, reach_x = 0, group, i, j;
    for (group = 0; group < rows->groups; group++) {
      for (i = 0; i < length; i++, at++) {
        int32_t position = (group * rows->n + (int32_t)*at) * rows->span;
        for (j = 0; j < rows->span; j++, position++, count++) {
          int32_t cell = position % cells;
          taps[count].y = cell / window->kernel_width * window->dilation_y;
          taps[count].x = cell % window->kernel_width * window->dilation_x;
          taps[count].offset = position / cells * plane + taps[count].y * window->width + taps[count].x;
          if (taps[count].y > reach_y) reach_y = taps[count].y;
          if (taps[count].x > reach_x) reach_x = taps[count].x;
        }
      }
    }
    for (y = 0; y < window->out_height; y++) {
      for (x = 0; x < window->out_width; x++) {
        int32_t at_y = y * window->stride_y - window->pad_y, at_x = x * window->stride_x - window->pad_x;
        int32_t from = at_y * window->width + at_x;
        ${begin}
        if (at_y >= 0 && at_x >= 0 && at_y + reach_y < window->height && at_x + reach_x < window->width) {
          for (i = 0; i < count; i++) ${add("kept[i]", "read[from + taps[i].offset]")}
        } else {
          for (i = 0; i < count; i++) {
            int32_t tap_y = at_y + taps[i].y, tap_x = at_x + taps[i].x;
            if (tap_y < 0 || tap_x < 0 || tap_y >= window->height || tap_x >= window->width) continue;
            ${add("kept[i]", "read[from + taps[i].offset]")}
          }
        }
${end("        ", "*output++")}
      }
    }
  }`;
};

/** The lines of a loop over the places under a window. */
function windowLoop(line: string): string {
  return `        for (ky = 0; ky < window->kernel_height; ky++) {
          int32_t at_y = y * window->stride_y - window->pad_y + ky * window->dilation_y;
          for (kx = 0; kx < window->kernel_width; kx++) {
            int32_t at_x = x * window->stride_x - window->pad_x + kx * window->dilation_x;
            if (at_y < 0 || at_x < 0 || at_y >= window->height || at_x >= window->width) continue;
${line}
          }
        }`;
}

function overImages(body: string): string {
  return `  int32_t plane = window->height * window->width, channel, y, x, ky, kx;
  for (channel = 0; channel < window->channels; channel++) {
    for (y = 0; y < window->out_height; y++) {
      for (x = 0; x < window->out_width; x++) {
${body}
      }
    }
    input += plane;
  }`;
}

/** The maximum under a window, channel by channel. */
export function maxPoolKernel(type: Type): Kernel {
  const name = `max_pool_${SHORT[type]}`;
  const sum = isFloat(type) ? "float" : "int32_t";
  const body = overImages(`        ${sum} largest = 0;
        int32_t seen = 0;
${windowLoop(`            if (!seen || input[at_y * window->width + at_x] > largest) largest = input[at_y * window->width + at_x];
            seen = 1;`)}
        *output++ = ${isFloat(type) ? "largest" : `(${type})largest`};`);
  return {
    name,
    text: `static void ${name}(const struct window *window, const ${type} *input, ${type} *output) {\n${body}\n}`,
    needs: ["window"],
  };
}

/** What a mean's function is written for. */
export interface AverageTypes {
  readonly input: Type;
  readonly output: Type;
}

/** The mean under a window, channel by channel. */
export function averagePoolKernel({ input, output }: AverageTypes): Kernel {
  const name = `average_pool_${SHORT[input]}_${SHORT[output]}`;
  const isInteger = !isFloat(input);
  const sum = isInteger ? "int32_t" : "float";
  const line = isInteger
    ? "            sum += (int32_t)input[at_y * window->width + at_x] - zero;"
    : "            sum += input[at_y * window->width + at_x];\n            count++;";
  const value = isInteger
    ? isFloat(output)
      ? "(float)sum * scale"
      : `(${output})rescaled(sum, multiplier, shift, to)`
    : stored(output, `sum / (float)(counts_padding ? window->kernel_height * window->kernel_width : count)`);
  const body = overImages(`        ${sum} sum = 0;
${isInteger ? "" : "        int32_t count = 0;\n"}${windowLoop(line)}
        *output++ = ${value};`);
  const parameters = [
    "const struct window *window",
    `const ${input} *input`,
    `${output} *output`,
    ...averageArguments({ input, output }).map(
      (argument) =>
        ({
          zero: "int32_t zero",
          scale: "float scale",
          multiplier: "int32_t multiplier",
          shift: "uint8_t shift",
          to: "const struct codes *to",
          counts_padding: "int32_t counts_padding",
        })[argument],
    ),
  ];
  return {
    name,
    text: `static void ${name}(${parameters.join(", ")}) {\n${body}\n}`,
    needs: [
      "window",
      ...(isFloat(output) ? [] : [isInteger ? ("rescaled" as const) : ("quantized" as const)]),
    ],
  };
}

/** The arguments of a mean's function, behind input and output. */
export function averageArguments({
  input,
  output,
}: AverageTypes): ("zero" | "scale" | "multiplier" | "shift" | "to" | "counts_padding")[] {
  if (isFloat(input)) return isFloat(output) ? ["counts_padding"] : ["counts_padding", "to"];
  return isFloat(output) ? ["zero", "scale"] : ["zero", "multiplier", "shift", "to"];
}

/** The sum of one or two lists of codes, each brought to the output's scale. */
export function codeSumKernel(inputs: readonly Type[], output: Type): Kernel {
  const name = `sum_${[...inputs, output].map((type) => SHORT[type]).join("_")}`;
  const lists = inputs.map((type, i) => `const ${type} *input${i}, int32_t zero${i}, int32_t multiplier${i}`);
  const terms = inputs.map((_, i) => `((int32_t)input${i}[i] - zero${i}) * multiplier${i}`).join(" + ");
  return {
    name,
    text: `static void ${name}(int32_t count, ${lists.join(", ")}, ${output} *output, uint8_t shift, int32_t zero, int32_t low, int32_t high) {
  int32_t i;
  for (i = 0; i < count; i++) {
    int32_t sum = ${terms} + ((int32_t)1 << (shift - 1));
    sum = (sum < 0 ? ~(~sum >> shift) : sum >> shift) + zero;
    output[i] = (${output})clamped(sum, low, high);
  }
}`,
    needs: ["clamped"],
  };
}

/** The sum of two lists of floats. */
export function floatSumKernel(output: Type): Kernel {
  const name = `sum_f32_f32_${SHORT[output]}`;
  const to = isFloat(output) ? "" : ", const struct codes *to";
  return {
    name,
    text: `static void ${name}(int32_t count, const float *left, const float *right, ${output} *output, const struct activation *by${to}) {
  int32_t i;
  for (i = 0; i < count; i++) {
    float sum = left[i] + right[i];
    output[i] = ${stored(output, "activated(sum, by)")};
  }
}`,
    needs: ["activation", ...(isFloat(output) ? [] : (["quantized"] as const))],
  };
}

/** Element by element: an activation function, quantization, the way back, or a clamp of codes. */
export function mapKernel(input: Type, output: Type): Kernel {
  const name = `map_${SHORT[input]}_${SHORT[output]}`;
  const signature = (parameters: string, line: string): string =>
    `static void ${name}(int32_t count, const ${input} *input, ${output} *output, ${parameters}) {
  int32_t i;
  for (i = 0; i < count; i++) output[i] = ${line};
}`;
  if (isFloat(input)) {
    const to = isFloat(output) ? "" : ", const struct codes *to";
    return {
      name,
      text: signature(`const struct activation *by${to}`, stored(output, "activated(input[i], by)")),
      needs: ["activation", ...(isFloat(output) ? [] : (["quantized"] as const))],
    };
  }
  if (isFloat(output)) {
    const line = "activated((float)((int32_t)input[i] - from->zero) * from->scale, by)";
    return {
      name,
      text: signature("const struct codes *from, const struct activation *by", line),
      needs: ["codes", "activation"],
    };
  }
  return {
    name,
    text: signature("int32_t low, int32_t high", `(${output})clamped(input[i], low, high)`),
    needs: ["clamped"],
  };
}
