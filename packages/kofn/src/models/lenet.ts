/** The networks of LeCun et al. for handwritten digits: LeNet-300-100 and LeNet-5. */

import type { Model } from "../onnx/model.js";
import { Network, type ZooOptions } from "./network.js";

/**
 * LeNet-300-100 (LeCun et al. 1998): 784-300-100-10 with ReLU; 266,610 parameters at 10 classes. Layers fc1, fc2, fc3.
 * Input "input" [batch, channels, 28, 28], output "logits" [batch, classes].
 *
 * @example
 * const model = lenet300100({ seed: 1 });
 */
export function lenet300100({ seed = 1, classes = 10, channels = 1 }: ZooOptions = {}): Model {
  const net = new Network("lenet-300-100", [channels, 28, 28], seed);
  let x = net.flatten(net.input, "flatten");
  x = net.relu(net.dense(x, "fc1", 300), "relu1");
  x = net.relu(net.dense(x, "fc2", 100), "relu2");
  net.dense(x, "fc3", classes);
  return net.model();
}

/**
 * LeNet-5 as Caffe has it: conv1 20@5x5, pool, conv2 50@5x5, pool, fc1 800-500, fc2; 431,080 parameters at 10 classes.
 * ReLU follows each pooling (which commutes with it, and costs a quarter there) and fc1.
 * Input "input" [batch, channels, 28, 28], output "logits" [batch, classes].
 *
 * @example
 * const model = lenet5({ seed: 1 });
 */
export function lenet5({ seed = 1, classes = 10, channels = 1 }: ZooOptions = {}): Model {
  const net = new Network("lenet-5", [channels, 28, 28], seed);
  let x = net.conv(net.input, "conv1", 20, 5, { bias: true, init: "uniform" });
  x = net.relu(net.maxPool(x, "pool1", 2), "relu1");
  x = net.conv(x, "conv2", 50, 5, { bias: true, init: "uniform" });
  x = net.relu(net.maxPool(x, "pool2", 2), "relu2");
  x = net.flatten(x, "flatten");
  x = net.relu(net.dense(x, "fc1", 500), "relu3");
  net.dense(x, "fc2", classes);
  return net.model();
}
