/** VGG-16 (Simonyan, Zisserman, ICLR 2015) with batch normalisation, in its form for small images. */

import type { Model } from "../onnx/model.js";
import { Network, type ZooOptions } from "./network.js";

/** Maps of the convolutions of each stage; pooling follows a stage. */
const STAGES = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];

/**
 * VGG-16 for images of 32x32: 13 convolutions with biases and batch normalisation, and one linear layer, 512 to classes;
 * 14,728,266 trained parameters at 10 classes. Layers features.0, features.3, ..., classifier, numbered as in PyTorch.
 * Input "input" [batch, channels, 32, 32], output "logits" [batch, classes].
 *
 * @example
 * const model = vgg16bn({ seed: 1 });
 */
export function vgg16bn({ seed = 1, classes = 10, channels = 3 }: ZooOptions = {}): Model {
  const net = new Network("vgg-16-bn", [channels, 32, 32], seed);
  let x = net.input;
  let number = 0;
  const name = (): string => `features.${number++}`;
  for (const stage of STAGES) {
    for (const maps of stage) {
      x = net.conv(x, name(), maps, 3, { padding: 1, bias: true });
      x = net.batchNorm(x, name());
      x = net.relu(x, name());
    }
    x = net.maxPool(x, name(), 2);
  }
  net.dense(net.flatten(x, "flatten"), "classifier", classes);
  return net.model();
}
