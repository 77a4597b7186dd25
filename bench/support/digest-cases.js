/** The runs of `digests`: short ones, which between them take each way that a training step can be made up. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { binary, int, int8, kernels, loadModel, maps, ternary, train, uint8, weights, zoo } from "kofn";
import { colourDigits, greyDigits } from "./digest-data.js";
import { commanded, killed, resumed, trained } from "./digest-runs.js";

/**
 * @typedef {import("./digest-runs.js").DigestRun} DigestRun
 * @typedef {import("./digest-runs.js").Options} Options
 * @typedef {import("kofn").PruneSpec} PruneSpec
 * @typedef {import("kofn").QuantizeSpec} QuantizeSpec
 */

/** Beside the checkout, where there is one. */
const FIXTURES = fileURLToPath(new URL("../../../shared/fixtures/", import.meta.url));

/** Two epochs of 8 steps, on one thread. */
const grey = () => ({ data: greyDigits(160), batch: 20, epochs: 2, threads: 1 });
/** Two epochs of 4 steps. */
const colour = () => ({ data: colourDigits(48), batch: 12, epochs: 2, threads: 1 });

/** Of lenet-300-100: enough logits for the samplers of two threads. */
const MLP = { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) };

/** What lenet-5 keeps, by each granularity and option. */
const MASKS = /** @type {Readonly<Record<string, PruneSpec>>} */ ({
  dense: {},
  weights: { conv2: weights({ k: 50 }), fc1: weights({ k: 32 }), fc2: weights({ k: 100 }) },
  "weights of kernels": { "conv*": weights({ k: 3, per: "kernel" }) },
  tiles: { conv2: weights({ tile: [2, 4] }), fc1: weights({ tile: [2, 4] }) },
  "shared weights": { conv2: weights({ keep: 0.1, share: 5 }), fc1: weights({ keep: 0.1, share: 4 }) },
  kernels: { conv2: kernels({ k: 5 }) },
  "shared kernels": { conv2: kernels({ keep: 0.25, share: 2 }) },
  maps: { conv1: maps({ k: 10 }), conv2: maps({ k: 25 }), fc1: maps({ keep: 0.2 }) },
});

/** How the weights of all layers are learned. */
const FORMATS = /** @type {Readonly<Record<string, QuantizeSpec>>} */ ({
  floats: {},
  "int8 lsq": { "*": int8() },
  "int4 dpp": { "*": int(4, { method: "dpp" }) },
  "ternary lsq": { "*": ternary() },
  "binary lsq": { "*": binary() },
  "binary dpp": { "*": binary({ method: "dpp" }) },
});

/**
 * @returns {{ runs: Record<string, DigestRun>, missing: string | undefined }} runs by name; and the folder of fixtures, if those
 *   that need it are left out as it is absent
 */
export function digestCases() {
  const hasFixtures = existsSync(FIXTURES);
  const runs = {
    ...masksAndFormats(),
    ...threadCases(),
    ...trainingCases(),
    ...activationCases(),
    ...colourCases(),
    ...wasmCases(),
    ...stoppedCases(),
    ...(hasFixtures ? fixtureCases() : {}),
  };
  return { runs, missing: hasFixtures ? undefined : FIXTURES };
}

/** Each mask with each format: who masks, who quantizes and whose scales follow from what is kept. */
function masksAndFormats() {
  const cases = Object.entries(MASKS).flatMap(([mask, prune]) =>
    Object.entries(FORMATS).map(([format, quantize]) => {
      const run = trained(() => ({ ...grey(), model: zoo.lenet5(), prune, quantize }));
      return /** @type {const} */ ([`lenet-5, ${mask}, ${format}`, run]);
    }),
  );
  return Object.fromEntries(cases);
}

/** The same on one thread and on two. */
function threadCases() {
  /** @type {Record<string, DigestRun>} */
  const runs = {};
  for (const threads of [1, 2]) {
    const mlp = () => ({ ...grey(), model: zoo.lenet300100(), prune: MLP, threads });
    const lenet = () => ({ ...grey(), model: zoo.lenet5(), threads });
    const name = `${threads} thr.`;
    runs[`lenet-300-100, weights, ${name}`] = trained(mlp);
    runs[`lenet-300-100, weights, int8, ${name}`] = trained(() => ({ ...mlp(), quantize: { "*": int8() } }));
    const prune = { conv2: kernels({ k: 5 }), fc1: weights({ k: 32, share: 2 }) };
    runs[`lenet-5, kernels and shared weights, ${name}`] = trained(() => ({ ...lenet(), prune }));
  }
  return runs;
}

/** Optimizers, schedules, phases and losses, on lenet-300-100. */
function trainingCases() {
  const mlp = () => ({ ...grey(), model: zoo.lenet300100(), prune: MLP });
  return {
    sgd: trained(() => ({ ...mlp(), optimizer: { kind: "sgd", lr: 0.05 }, schedule: "constant" })),
    "sgd, momentum and decay": trained(() => ({
      ...mlp(),
      optimizer: { kind: "sgd", lr: 0.05, momentum: 0.9, weightDecay: 5e-4 },
      schedule: "step",
    })),
    "sgd, nesterov": trained(() => ({
      ...mlp(),
      optimizer: { kind: "sgd", lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
      warmup: 0.2,
    })),
    "adam with decay, logits by sgd": trained(() => ({
      ...mlp(),
      optimizer: { kind: "adam", lr: 0.002, beta1: 0.8, beta2: 0.99, weightDecay: 0.01 },
      schedule: "linear",
      sampler: {
        optimizer: { kind: "sgd", lr: 1, momentum: 0.5, nesterov: true },
        entropy: 1e-3,
        tau: [4, 1],
        beta: [0.3, 0.1],
      },
      seed: 7,
    })),
    "shrinking k": trained(() => ({ ...mlp(), sampler: { init: "magnitude", shrink: [0, 0.5] } })),
    "frozen masks": trained(() => ({ ...mlp(), freezeFrom: 0.4 })),
    "frozen masks, late int4": trained(() => ({
      ...mlp(),
      quantize: { "*": int(4) },
      quantizeFrom: 0.3,
      freezeFrom: 0.6,
    })),
    "given masks": trained(async () => ({ ...mlp(), seed: 2, masks: (await train(mlp())).masks })),
    "given masks, int8": trained(async () => {
      const { masks } = await train(mlp());
      return { ...mlp(), seed: 2, masks, quantize: { "*": int8() } };
    }),
    "fine-tuned with a teacher": trained(async () => ({
      ...(await fineTuned()),
      distill: { weight: 0.5, temperature: 4 },
    })),
    "fine-tuned, quantized from the start": trained(async () => ({
      ...(await fineTuned()),
      quantize: { "*": int(4), activations: uint8() },
    })),
    "mix-up": trained(() => ({ ...mlp(), augment: { mixup: 0.3 } })),
    "normalised, limited": trained(() => ({
      ...mlp(),
      normalize: { mean: [0.2], std: [0.4] },
      augment: { crop: 2, cutout: 6 },
      limit: 150,
    })),
    "budget of weights": trained(() => ({ ...grey(), model: zoo.lenet5(), budget: { weights: 10 } })),
    "uniform budget of maps": trained(() => ({
      ...grey(),
      model: zoo.lenet5(),
      budget: { weights: 3, granularity: "maps", allocation: "uniform" },
    })),
  };
}

/** Lenet-300-100 trained dense for two epochs, to be pruned from its magnitudes. */
async function fineTuned() {
  const { model } = await train({ ...grey(), model: zoo.lenet300100() });
  return { ...grey(), model, pretrained: true, prune: MLP, seed: 3 };
}

/** Formats of activations, from the start and late. */
function activationCases() {
  /** @type {Record<string, DigestRun>} */
  const runs = {};
  const formats = { uint8: uint8(), int8: int8(), binary: binary() };
  for (const [format, activations] of Object.entries(formats)) {
    for (const quantizeFrom of [0, 0.4]) {
      const lenet = () => ({ ...grey(), model: zoo.lenet5(), quantizeFrom });
      const name = `activations ${format} from ${100 * quantizeFrom} %`;
      runs[`${name}, weights float`] = trained(() => ({
        ...lenet(),
        prune: MASKS.weights,
        quantize: { activations },
      }));
      runs[`${name}, kernels int8`] = trained(() => ({
        ...lenet(),
        prune: MASKS.kernels,
        quantize: { "*": int8(), activations, "activations.*": activations },
      }));
    }
  }
  return runs;
}

/** Convolutions with batch normalisation, residual sums and depthwise layers. */
function colourCases() {
  const resnet = () => ({ ...colour(), model: zoo.resnet20() });
  const small = { data: colourDigits(4, 7), batch: 2, epochs: 1, threads: 1 };
  return {
    "resnet-20, dense": trained(resnet),
    "resnet-20, dense, 2 thr.": trained(() => ({ ...resnet(), threads: 2 })),
    "resnet-20, weights and kernels, augmented": trained(() => ({
      ...resnet(),
      prune: { "layer1.*": weights({ keep: 0.1 }), "layer2.*": kernels({ keep: 0.25 }) },
      augment: { crop: 4, flip: true, cutout: 8, mixup: 0.2 },
      optimizer: { kind: "sgd", lr: 0.05, momentum: 0.9, weightDecay: 5e-4 },
    })),
    "resnet-20, coupled maps": trained(() => ({ ...resnet(), prune: { layer: maps({ keep: 0.5 }) } })),
    "resnet-20, coupled maps, int4 dpp, late uint8": trained(() => ({
      ...resnet(),
      prune: { layer: maps({ keep: 0.5 }) },
      quantize: { "*": int(4, { method: "dpp" }), activations: uint8() },
      quantizeFrom: 0.4,
    })),
    "resnet-20, weights, int4, int8 activations": trained(() => ({
      ...resnet(),
      prune: { "layer*": weights({ keep: 0.1 }) },
      quantize: { "*": int(4), activations: int8() },
    })),
    "resnet-20, frozen statistics": trained(() => ({
      ...resnet(),
      batchNorm: "frozen",
      prune: { "layer*": kernels({ keep: 0.5 }) },
    })),
    "resnet-20, budget of operations": trained(() => ({
      ...resnet(),
      budget: { macs: 0.3, granularity: "kernels", round: 4 },
    })),
    "mobilenet-v2, coupled maps": trained(() => ({
      ...small,
      model: zoo.mobilenetV2({ classes: 10 }),
      prune: { "features.*": maps({ keep: 0.5 }) },
    })),
  };
}

/** The provider wasm, whose steps have other operators. */
function wasmCases() {
  const wasm = /** @type {const} */ ({ provider: "wasm" });
  const few = { ...wasm, data: colourDigits(12), batch: 6, epochs: 2, threads: 1 };
  return {
    "wasm, lenet-300-100, weights, int8, late uint8": trained(() => ({
      ...grey(),
      ...wasm,
      model: zoo.lenet300100(),
      prune: MLP,
      quantize: { "*": int8(), activations: uint8() },
    })),
    "wasm, lenet-5, kernels and weights": trained(() => ({
      ...grey(),
      ...wasm,
      model: zoo.lenet5(),
      prune: { ...MASKS.kernels, fc1: weights({ k: 32 }) },
    })),
    "wasm, resnet-20, coupled maps": trained(() => ({
      ...few,
      model: zoo.resnet20(),
      prune: { layer: maps({ keep: 0.5 }) },
    })),
  };
}

/** Runs that are stopped and go on, each beside the same run in one go. */
function stoppedCases() {
  const late = () => ({
    ...grey(),
    epochs: 3,
    threads: 2,
    model: zoo.lenet5(),
    prune: { ...MASKS.kernels, fc1: weights({ k: 32 }) },
    optimizer: /** @type {const} */ ({ kind: "sgd", lr: 0.05, momentum: 0.9 }),
    quantize: { "*": int8(), activations: uint8() },
    quantizeFrom: 0.3,
    freezeFrom: 0.7,
  });
  const args = ["lenet-300-100", "--data", "glyphs", "--limit", "200", "--batch", "20", "--epochs", "4"];
  const options = ["--prune", "fc1=weights:40", "--prune", "fc2=weights:30", "--threads", "2"];
  return {
    "late and frozen": trained(late),
    "late and frozen, resumed": resumed(late),
    "command line": commanded([...args, ...options]),
    "command line, killed and resumed": killed([...args, ...options]),
  };
}

/** Networks of PyTorch, fine-tuned from magnitudes while k shrinks. */
function fixtureCases() {
  const fixture = async (/** @type {string} */ name) => ({
    model: await loadModel(`${FIXTURES}${name}.onnx`),
    pretrained: true,
  });
  return {
    "lenet5-mnist, budget": trained(async () => ({
      ...grey(),
      ...(await fixture("lenet5-mnist")),
      budget: { weights: 10 },
    })),
    "resnet20-cifar10, coupled maps, teacher": trained(async () => ({
      ...colour(),
      ...(await fixture("resnet20-cifar10")),
      prune: { l: maps({ keep: 0.5 }) },
      distill: { weight: 0.5, temperature: 4 },
    })),
    "resnet20-cifar10, weights, frozen statistics": trained(async () => ({
      ...colour(),
      ...(await fixture("resnet20-cifar10")),
      keep: { keep: 0.2 },
      batchNorm: "frozen",
    })),
    "resnet20-cifar10-folded, kernels, int8 and uint8": trained(async () => ({
      ...colour(),
      ...(await fixture("resnet20-cifar10-folded")),
      budget: { weights: 4, granularity: "kernels" },
      quantize: { "*": int8(), activations: uint8() },
    })),
    "small-mobile-random, maps": trained(async () => ({
      ...colour(),
      ...(await fixture("small-mobile-random")),
      budget: { weights: 2, granularity: "maps" },
    })),
    "tiny-attention-random, transposed weights": trained(async () => ({
      ...grey(),
      ...(await fixture("tiny-attention-random")),
      keep: { keep: 0.25 },
    })),
    "tiny-attention-random, transposed weights, int4 dpp": trained(async () => ({
      ...grey(),
      ...(await fixture("tiny-attention-random")),
      keep: { keep: 0.25 },
      quantize: { "*": int(4, { method: "dpp" }) },
    })),
  };
}
