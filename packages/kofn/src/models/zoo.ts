/** The built-in networks, by their names: ONNX models with freshly initialised weights. */

import type { Model } from "../onnx/model.js";
import { lenet300100, lenet5 } from "./lenet.js";
import { mobilenetV2 } from "./mobilenet.js";
import type { ZooOptions } from "./network.js";
import { resnet18, resnet20, resnet32, resnet50, resnet56 } from "./resnet.js";
import { vgg16bn } from "./vgg.js";

/** The zoo by the names of the command line. */
export const ZOO = {
  "lenet-300-100": lenet300100,
  "lenet-5": lenet5,
  "vgg-16-bn": vgg16bn,
  "resnet-20": resnet20,
  "resnet-32": resnet32,
  "resnet-56": resnet56,
  "resnet-18": resnet18,
  "resnet-50": resnet50,
  "mobilenet-v2": mobilenetV2,
} as const satisfies Record<string, (options?: ZooOptions) => Model>;

/**
 * The zoo by the names of the library.
 *
 * @example
 * const model = zoo.lenet5({ seed: 2 });
 */
export const zoo = {
  lenet300100,
  lenet5,
  vgg16bn,
  resnet20,
  resnet32,
  resnet56,
  resnet18,
  resnet50,
  mobilenetV2,
} as const;
