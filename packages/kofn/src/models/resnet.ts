/** The residual networks of He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016). */

import type { Model } from "../onnx/model.js";
import { Network, type ZooOptions } from "./network.js";

/** One residual block: appends it to a value. `maps` is the width of its 3x3 convolutions. */
type Block = (
  net: Network,
  x: string,
  name: string,
  maps: number,
  stride: number,
  project: boolean,
) => string;

const basicBlock: Block = (net, x, name, maps, stride, project) => {
  let y = net.conv(x, `${name}.conv1`, maps, 3, { stride, padding: 1 });
  y = net.relu(net.batchNorm(y, `${name}.bn1`), `${name}.relu1`);
  y = net.conv(y, `${name}.conv2`, maps, 3, { padding: 1 });
  y = net.batchNorm(y, `${name}.bn2`);
  return net.relu(net.add(y, shortcut(net, x, name, maps, stride, project), `${name}.add`), `${name}.relu2`);
};

/** Narrows to `maps`, convolves (with the stride, as PyTorch has it), and widens to four times as many. */
const bottleneck: Block = (net, x, name, maps, stride, project) => {
  let y = net.conv(x, `${name}.conv1`, maps, 1);
  y = net.relu(net.batchNorm(y, `${name}.bn1`), `${name}.relu1`);
  y = net.conv(y, `${name}.conv2`, maps, 3, { stride, padding: 1 });
  y = net.relu(net.batchNorm(y, `${name}.bn2`), `${name}.relu2`);
  y = net.conv(y, `${name}.conv3`, EXPANSION * maps, 1);
  y = net.batchNorm(y, `${name}.bn3`);
  const skip = shortcut(net, x, name, EXPANSION * maps, stride, project);
  return net.relu(net.add(y, skip, `${name}.add`), `${name}.relu3`);
};

const EXPANSION = 4;

/** The block's input, through a 1x1 convolution and batch normalisation where its shape changes (the paper's option B). */
function shortcut(
  net: Network,
  x: string,
  name: string,
  maps: number,
  stride: number,
  project: boolean,
): string {
  if (!project) return x;
  return net.batchNorm(net.conv(x, `${name}.downsample.0`, maps, 1, { stride }), `${name}.downsample.1`);
}

/** A stage of blocks, the first of which may halve the image. */
function stage(
  net: Network,
  x: string,
  name: string,
  block: Block,
  shape: {
    readonly count: number;
    readonly maps: number;
    readonly stride: number;
    readonly project: boolean;
  },
): string {
  for (let i = 0; i < shape.count; i++) {
    const first = i === 0;
    x = block(net, x, `${name}.${i}`, shape.maps, first ? shape.stride : 1, first && shape.project);
  }
  return x;
}

function classifier(net: Network, x: string, classes: number): Model {
  net.dense(net.flatten(net.globalAveragePool(x, "avgpool"), "flatten"), "fc", classes);
  return net.model();
}

/** 3x3 convolution, three stages of `count` basic blocks with 16, 32 and 64 maps, mean, fc (section 4.2 of the paper). */
function cifarResNet(name: string, count: number, options: ZooOptions): Model {
  const { seed = 1, classes = 10, channels = 3 } = options;
  const net = new Network(name, [channels, 32, 32], seed);
  let x = net.conv(net.input, "conv1", 16, 3, { padding: 1 });
  x = net.relu(net.batchNorm(x, "bn1"), "relu");
  for (const [i, maps] of [16, 32, 64].entries()) {
    const [stride, project] = i === 0 ? [1, false] : [2, true];
    x = stage(net, x, `layer${i + 1}`, basicBlock, { count, maps, stride, project });
  }
  return classifier(net, x, classes);
}

/**
 * ResNet-20 for images of 32x32: 272,474 trained parameters at 10 classes (0.27 million). Layers conv1, layer1.0.conv1, ..., fc.
 *
 * Where the number of maps grows, the shortcut is a 1x1 convolution with batch normalisation (the paper's option B), as in most
 * implementations; the paper's own CIFAR networks pad with zero maps instead (option A), and have 2,752 parameters fewer.
 * Input "input" [batch, channels, 32, 32], output "logits" [batch, classes].
 *
 * @example
 * const model = resnet20({ seed: 1, classes: 100 });
 */
export function resnet20(options: ZooOptions = {}): Model {
  return cifarResNet("resnet-20", 3, options);
}

/**
 * ResNet-32 for images of 32x32: 466,906 trained parameters at 10 classes. Built as {@link resnet20} is.
 *
 * @example
 * const model = resnet32({ seed: 1 });
 */
export function resnet32(options: ZooOptions = {}): Model {
  return cifarResNet("resnet-32", 5, options);
}

/**
 * ResNet-56 for images of 32x32: 855,770 trained parameters at 10 classes. Built as {@link resnet20} is.
 *
 * @example
 * const model = resnet56({ seed: 1 });
 */
export function resnet56(options: ZooOptions = {}): Model {
  return cifarResNet("resnet-56", 9, options);
}

/** 7x7 convolution, pooling, four stages with 64, 128, 256 and 512 maps, mean, fc (table 1 of the paper). */
function imageNetResNet(name: string, block: Block, counts: readonly number[], options: ZooOptions): Model {
  const { seed = 1, classes = 1000, channels = 3 } = options;
  const net = new Network(name, [channels, 224, 224], seed);
  let x = net.conv(net.input, "conv1", 64, 7, { stride: 2, padding: 3 });
  x = net.relu(net.batchNorm(x, "bn1"), "relu");
  x = net.maxPool(x, "maxpool", 3, 2, 1);
  for (const [i, count] of counts.entries()) {
    const project = i > 0 || block === bottleneck;
    const shape = { count, maps: 64 * 2 ** i, stride: i === 0 ? 1 : 2, project };
    x = stage(net, x, `layer${i + 1}`, block, shape);
  }
  return classifier(net, x, classes);
}

/**
 * ResNet-18 for images of 224x224: 11,689,512 trained parameters at 1000 classes. Layers conv1, layer1.0.conv1, ..., fc.
 * Input "input" [batch, channels, 224, 224], output "logits" [batch, classes].
 *
 * @example
 * const model = resnet18({ classes: 100 });
 */
export function resnet18(options: ZooOptions = {}): Model {
  return imageNetResNet("resnet-18", basicBlock, [2, 2, 2, 2], options);
}

/**
 * ResNet-50 for images of 224x224: 25,557,032 trained parameters at 1000 classes. Blocks stride in their 3x3 convolution, as
 * PyTorch's do. Layers conv1, layer1.0.conv1, ..., fc.
 * Input "input" [batch, channels, 224, 224], output "logits" [batch, classes].
 *
 * @example
 * const model = resnet50({ classes: 100 });
 */
export function resnet50(options: ZooOptions = {}): Model {
  return imageNetResNet("resnet-50", bottleneck, [3, 4, 6, 3], options);
}
