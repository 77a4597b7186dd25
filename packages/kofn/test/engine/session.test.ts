/** The engine: which onnxruntime it runs on, what goes in and out, and its errors. */

import { createRequire } from "node:module";
import type { Provider } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/session.js";
import { InputError, KofnError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, type Model } from "../../src/onnx/model.js";
import { modelOf } from "../support/execute.js";

function twice(): Model {
  const b = new Builder(emptyGraph("twice"));
  const x = b.input("x", "float32", [2]);
  b.output(b.mul(x, b.scalar(2, x), "y"));
  return modelOf(b.graph);
}

describe("providers", () => {
  test("cpu is onnxruntime's native build", async () => {
    const engine = await Engine.open();
    expect(engine.provider).toBe("cpu");
    const session = await engine.session(twice());
    await session.close();
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    expect(loaded.filter((path) => path.endsWith("onnxruntime_binding.node"))).toHaveLength(1);
  });

  test.each(["webgpu", "cuda"] as const)("%s is for later", async (provider) => {
    await expect(Engine.open({ provider })).rejects.toThrow(
      new InputError(`provider "${provider}" is not in this version of kofn; it runs on cpu and wasm`),
    );
  });

  test("names the providers if it is asked for another", async () => {
    await expect(Engine.open({ provider: "tpu" as Provider })).rejects.toThrow(
      new InputError('there is no provider "tpu"; the providers are cpu, wasm, webgpu, cuda'),
    );
  });
});

describe.each(["cpu", "wasm"] as const)("a session on %s", (provider) => {
  test("computes", async () => {
    const engine = await Engine.open({ provider, threads: 1 });
    const session = await engine.session(twice());
    const results = await session.run(
      { x: engine.value("float32", [2], Float32Array.of(1, 3)) },
      { y: null },
    );
    expect([...(results.y.data as Float32Array)]).toEqual([2, 6]);
    await session.close();
  });

  test("writes into the results that it is given", async () => {
    const engine = await Engine.open({ provider, threads: 1 });
    const session = await engine.session(twice());
    const [x, y] = [Float32Array.of(1, 3), new Float32Array(2)];
    const [feeds, results] = [{ x: engine.value("float32", [2], x) }, { y: engine.value("float32", [2], y) }];
    for (const factor of [1, 10]) {
      x.set([factor, 3 * factor]);
      await session.run(feeds, results);
      expect([...y]).toEqual([2 * factor, 6 * factor]);
    }
    await session.close();
  });

  test("throws onnxruntime's message if it refuses a model", async () => {
    const model = twice();
    model.graph.nodes[0].op = "NoSuchOperator";
    const engine = await Engine.open({ provider, threads: 1 });
    const failure = engine.session(model);
    await expect(failure).rejects.toThrow(`onnxruntime (${provider}) refuses the graph "twice": `);
    await expect(failure).rejects.toThrow(/NoSuchOperator/);
    await expect(failure).rejects.toBeInstanceOf(KofnError);
  });
});
