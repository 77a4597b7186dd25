/** Takes from a .kofn file which pixels each neuron of the first layer keeps. */

import { decodeKofn, InputError, prunableLayers, weightMasks } from "kofn";

/**
 * @param {Uint8Array} file
 * @param {string} name for messages
 * @returns {import("./page/first-layer.js").FirstLayer}
 */
export function firstLayerOf(file, name) {
  const contents = decodeKofn(file, name);
  const { graph } = contents.model;
  const layer = prunableLayers(graph).at(0);
  const weight = layer && graph.initializers.get(layer.weight);
  if (layer === undefined || weight === undefined) {
    throw new InputError(`${name}: expected a network with a layer of weights, found none.`);
  }
  const values = weight.numbers();
  const mask = weightMasks(contents).get(layer.weight)?.array();
  const { dims, transposed } = layer;
  const isConvolution = dims.length === 4;
  const units = transposed ? dims[1] : dims[0];
  const inputs = values.length / units;
  const [height, width] = isConvolution ? dims.slice(2) : [Math.sqrt(inputs), Math.sqrt(inputs)];
  /** @param {number} unit @param {number} input */
  const at = (unit, input) => (transposed ? input * units + unit : unit * inputs + input);
  const kept = Array.from({ length: units }, (_, unit) =>
    Array.from({ length: inputs }, (_, input) => input).filter((input) => mask?.[at(unit, input)] !== 0),
  );
  const signs = kept.map((places, unit) => places.map((input) => Math.sign(values[at(unit, input)])));
  return { height, width, isConvolution, kept, signs };
}
