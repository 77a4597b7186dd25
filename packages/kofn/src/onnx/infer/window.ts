/** The geometry of sliding windows: kernel, strides, dilations and pads of convolutions and pools. */

import { type Dim, getInt, getInts, getString, type Node } from "../model.js";
import { fail, formatShape } from "./support.js";

/** The window of a convolution or pool along its spatial axes; each list has a number per axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
  /** Spatial size of the output. */
  readonly outputs: readonly number[];
}

interface Axis {
  readonly begin: number;
  readonly end: number;
  readonly output: number;
}

interface Settings {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly autoPad: string;
  readonly ceil: boolean;
}

function settingsOf(node: Node, rank: number, kernel: readonly number[]): Settings {
  const list = (name: string, length: number, fallback: number, least: number) => {
    const values = getInts(node, name) ?? new Array<number>(length).fill(fallback);
    if (values.length !== length || values.some((value) => value < least)) {
      const found = `[${values.join(", ")}]`;
      fail(
        node,
        `${name} must be ${length} values >= ${least} (the input has ${rank} spatial axes), not ${found}`,
      );
    }
    return values;
  };
  if (kernel.length !== rank || kernel.some((size) => size < 1)) {
    fail(node, `the kernel ${formatShape(kernel)} does not fit an input with ${rank} spatial axes`);
  }
  const autoPad = getString(node, "auto_pad", "NOTSET");
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(autoPad)) {
    fail(node, `unknown auto_pad "${autoPad}"`);
  }
  return {
    kernel,
    strides: list("strides", rank, 1, 1),
    dilations: list("dilations", rank, 1, 1),
    pads: list("pads", 2 * rank, 0, 0),
    autoPad,
    ceil: getInt(node, "ceil_mode", 0) !== 0,
  };
}

function axisWindow(
  { kernel, strides, dilations, pads, autoPad, ceil }: Settings,
  axis: number,
  size: number,
): Axis {
  const stride = strides[axis];
  const extent = (kernel[axis] - 1) * dilations[axis] + 1;
  if (autoPad.startsWith("SAME")) {
    const output = Math.ceil(size / stride);
    const total = Math.max(0, (output - 1) * stride + extent - size);
    const less = Math.floor(total / 2);
    const begin = autoPad === "SAME_UPPER" ? less : total - less;
    return { begin, end: total - begin, output };
  }
  const [begin, end] = autoPad === "VALID" ? [0, 0] : [pads[axis], pads[axis + kernel.length]];
  const steps = (size + begin + end - extent) / stride;
  let output = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // The last window must start inside the input or its first padding.
  if (ceil && (output - 1) * stride >= size + begin) output--;
  return { begin, end, output };
}

/**
 * The window of a Conv or pool node over an input of known spatial size.
 *
 * @throws InputError naming the node, if attributes are malformed or the kernel is larger than the padded input.
 */
export function windowOf(node: Node, spatial: readonly number[], kernel: readonly number[]): Window {
  const settings = settingsOf(node, spatial.length, kernel);
  const axes = spatial.map((size, axis) => axisWindow(settings, axis, size));
  if (axes.some(({ output }) => output < 1)) {
    const pads = `[${axes.map(({ begin }) => begin).join(", ")}; ${axes.map(({ end }) => end).join(", ")}]`;
    fail(
      node,
      `the kernel ${formatShape(kernel)} with dilations [${settings.dilations.join(", ")}] is larger than the input ` +
        `${formatShape(spatial)} with pads ${pads}`,
    );
  }
  return {
    kernel,
    strides: settings.strides,
    dilations: settings.dilations,
    padsBegin: axes.map(({ begin }) => begin),
    padsEnd: axes.map(({ end }) => end),
    outputs: axes.map(({ output }) => output),
  };
}

/** The spatial size of a Conv or pool node's output; a name passes through where the window keeps the size. */
export function windowOutputs(
  node: Node,
  spatial: readonly Dim[],
  kernel: readonly number[],
): readonly Dim[] {
  if (spatial.every((dim) => typeof dim === "number")) return windowOf(node, spatial, kernel).outputs;
  const settings = settingsOf(node, spatial.length, kernel);
  return spatial.map((dim, axis) => {
    if (typeof dim === "number") return axisWindow(settings, axis, dim).output;
    if (settings.strides[axis] !== 1) return undefined;
    const large = 2 ** 30;
    return axisWindow(settings, axis, large).output === large ? dim : undefined;
  });
}

/** The attribute kernel_shape, which pools and ConvGradWeight must have. */
export function kernelShape(node: Node): readonly number[] {
  const kernel = getInts(node, "kernel_shape");
  if (kernel === undefined) fail(node, `attribute "kernel_shape" is missing`);
  return kernel;
}

/**
 * The window of a ConvTranspose node over an input of known spatial size: that of the convolution whose gradient it is,
 * so `outputs` is the spatial size of the node's input, and `inputs` that of its output.
 */
export function transposedWindow(
  node: Node,
  spatial: readonly number[],
  kernel: readonly number[],
): Window & { readonly inputs: readonly number[] } {
  const { strides, dilations, pads, autoPad } = settingsOf(node, spatial.length, kernel);
  const wanted = getInts(node, "output_shape")?.slice(-spatial.length);
  const extra = getInts(node, "output_padding") ?? spatial.map(() => 0);
  const same = autoPad.startsWith("SAME");
  const axes = spatial.map((size, axis) => {
    const full = (size - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 + extra[axis];
    const target = wanted?.[axis] ?? (same ? size * strides[axis] : undefined);
    if (target !== undefined) {
      const total = Math.max(0, full - target);
      const less = Math.floor(total / 2);
      const begin = autoPad === "SAME_UPPER" ? less : total - less;
      return { begin, end: total - begin, input: target };
    }
    const [begin, end] = autoPad === "VALID" ? [0, 0] : [pads[axis], pads[axis + kernel.length]];
    return { begin, end, input: full - begin - end };
  });
  if (axes.some(({ input }) => input < 1)) fail(node, `its pads take away the whole output`);
  return {
    kernel,
    strides,
    dilations,
    padsBegin: axes.map(({ begin }) => begin),
    padsEnd: axes.map(({ end }) => end),
    outputs: spatial,
    inputs: axes.map(({ input }) => input),
  };
}
