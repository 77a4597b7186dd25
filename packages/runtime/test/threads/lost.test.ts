/** Threads that fail, and threads that end, in Node and in Chromium: `run` gives no result that is not its own, and returns. */

import { beforeAll, describe, expect, test } from "vitest";
import { type Case, caseOf, largestError, TOLERANCE } from "../support/cases.js";
import { chromiumOfFile, type Host, node } from "../support/hosts.js";

/** How a thread is lost. */
type Loss = "starts without memory" | "fails" | "ends" | "ends unheard";

const chromium = chromiumOfFile();
const hosts: Host[] = chromium.isThere ? [node, chromium] : [node];

/** What `load` and three calls of `run` on three threads give: results, or what they throw; the last two after the loss. */
function outcomes(host: Host, { file, input }: Case, loss: Loss): Promise<(Float32Array | string)[]> {
  return host.call(
    async ({ load, NetworkError }, given) => {
      const place: { Worker: typeof Worker } =
        typeof process === "object"
          ? (process.getBuiltinModule("node:worker_threads") as unknown as { Worker: typeof Worker })
          : globalThis;
      const whole = place.Worker;
      const workers: Worker[] = [];
      /** A worker that gets too little memory to run, or none to start. */
      class Other extends whole {
        constructor(...args: ConstructorParameters<typeof Worker>) {
          super(...args);
          workers.push(this);
        }
        override postMessage(message: { memory: ArrayBuffer }): void {
          const bytes = { "starts without memory": 0, fails: 65_536 }[given.loss as string];
          // The first worker alone.
          const memory = workers.length === 1 ? message.memory.slice(0, bytes) : message.memory;
          super.postMessage({ ...message, memory });
        }
      }
      const found: (Float32Array | string)[] = [];
      const attempt = (run: () => Float32Array): void => {
        try {
          found.push(run());
        } catch (error) {
          found.push(error instanceof NetworkError ? error.message : `another error: ${String(error)}`);
        }
      };
      place.Worker = Other;
      try {
        const net = await load(given.file, { threads: 3 });
        attempt(() => net.run(given.input));
        const [first] = workers as [{ terminate(): unknown }, ...unknown[]];
        if (given.loss.startsWith("ends")) {
          const ended = first.terminate();
          if (given.loss === "ends") {
            await ended;
            // Chromium takes two seconds, and does not say when they are over.
            if (ended === undefined) await new Promise((resolve) => setTimeout(resolve, 3000));
          } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
        }
        attempt(() => net.run(given.input.map((value) => -value)));
        attempt(() =>
          net.run(
            given.input.subarray(
              0,
              net.info.input.reduce((a, b) => a * b),
            ),
          ),
        );
        net.close();
        attempt(() => net.run(given.input));
      } catch (error) {
        found.push(`load: ${String(error)}`);
      } finally {
        place.Worker = whole;
      }
      return found;
    },
    { file, input, loss },
  );
}

describe.each(hosts.map((host) => [host.name, host] as const))("a thread in %s", (name, host) => {
  const lost = "a thread of the network has failed or ended: close the network and load it again";
  const closed = "the network is closed: load it again";
  let one: Case;

  beforeAll(async () => {
    one = await caseOf("lenet-5: weights 10 %", 25);
  });

  test("that fails makes every call fail", async () => {
    expect(await outcomes(host, one, "fails")).toEqual([lost, lost, lost, closed]);
  });

  // A page's thread may not sleep, so that it would hear nothing of what happens.
  test.each(name === "Node" ? (["ends", "ends unheard"] as const) : (["ends"] as const))(
    "that %s makes every later call fail",
    { timeout: 60_000 },
    async (loss) => {
      const [first, ...others] = await outcomes(host, one, loss);
      expect(largestError(first as Float32Array, one.expected)).toBeLessThan(TOLERANCE);
      expect(others).toEqual([lost, lost, closed]);
    },
  );

  test("that can't start is named when the network is loaded", async () => {
    const [message] = await outcomes(host, one, "starts without memory");
    expect(message).toMatch(/^load: NetworkError: a thread can't start: .*WebAssembly\.Memory\.grow/);
  });
});
