/**
 * Trains LeNet-300-100 on the built-in digits while it learns which weights to keep, and saves the run:
 *
 *     node examples/train-glyphs.js [FOLDER [SAMPLES]]
 */

import { datasets, train, weights, zoo } from "kofn";

const [folder = "runs/glyphs", samples = "20000"] = process.argv.slice(2);

const run = await train({
  model: zoo.lenet300100(),
  data: datasets.glyphs(),
  prune: { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) },
  epochs: 5,
  limit: Number(samples),
  onEpoch: ({ epoch, validation }) => console.log(`epoch ${epoch}: validation ${validation.accuracy}`),
});

const { result, totals, layers } = run.report;
console.log(`test accuracy ${result.test.accuracy}`);
console.log(`${totals.kept} of ${totals.weights} weights, ${totals.compression.toFixed(1)}x`);
for (const { name, groups, k, n } of layers) console.log(`${name}: ${k} of ${n} in each of ${groups} groups`);

await run.save(folder, { overwrite: true });
console.log(`saved to ${folder}`);
