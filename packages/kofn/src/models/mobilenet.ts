/** MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018). */

import type { Model } from "../onnx/model.js";
import { Network, type ZooOptions } from "./network.js";

/** Table 2 of the paper: expansion, maps, number of blocks, and the stride of the first of them. */
const STAGES = [
  { expansion: 1, maps: 16, count: 1, stride: 1 },
  { expansion: 6, maps: 24, count: 2, stride: 2 },
  { expansion: 6, maps: 32, count: 3, stride: 2 },
  { expansion: 6, maps: 64, count: 4, stride: 2 },
  { expansion: 6, maps: 96, count: 3, stride: 1 },
  { expansion: 6, maps: 160, count: 3, stride: 2 },
  { expansion: 6, maps: 320, count: 1, stride: 1 },
];

/** Convolution, batch normalisation and ReLU6: `name`.0, `name`.1 and `name`.2. */
function convBlock(
  net: Network,
  x: string,
  name: string,
  maps: number,
  kernel: number,
  shape: { readonly stride?: number; readonly groups?: number } = {},
): string {
  const y = net.conv(x, `${name}.0`, maps, kernel, { ...shape, padding: (kernel - 1) / 2 });
  return net.relu6(net.batchNorm(y, `${name}.1`), `${name}.2`);
}

/**
 * MobileNetV2 at width 1 for images of 224x224: 3,504,872 trained parameters at 1000 classes. It has no dropout before the
 * classifier. Layers features.0.0, features.1.conv.0.0, ..., classifier.1, named as in PyTorch.
 * Input "input" [batch, channels, 224, 224], output "logits" [batch, classes].
 *
 * @example
 * const model = mobilenetV2({ classes: 100 });
 */
export function mobilenetV2({ seed = 1, classes = 1000, channels = 3 }: ZooOptions = {}): Model {
  const net = new Network("mobilenet-v2", [channels, 224, 224], seed);
  let width = 32;
  let x = convBlock(net, net.input, "features.0", width, 3, { stride: 2 });
  let number = 1;
  for (const { expansion, maps, count, stride: first } of STAGES) {
    for (let i = 0; i < count; i++, number++) {
      const name = `features.${number}.conv`;
      const stride = i === 0 ? first : 1;
      const groups = expansion * width;
      let part = 0;
      let y = expansion === 1 ? x : convBlock(net, x, `${name}.${part++}`, groups, 1);
      y = convBlock(net, y, `${name}.${part++}`, groups, 3, { stride, groups });
      y = net.conv(y, `${name}.${part++}`, maps, 1);
      y = net.batchNorm(y, `${name}.${part}`);
      x = stride === 1 && width === maps ? net.add(x, y, `features.${number}.add`) : y;
      width = maps;
    }
  }
  x = convBlock(net, x, `features.${number}`, 1280, 1);
  x = net.flatten(net.globalAveragePool(x, "avgpool"), "flatten");
  net.dense(x, "classifier.1", classes);
  return net.model();
}
