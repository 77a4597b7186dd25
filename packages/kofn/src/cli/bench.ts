/** `kofn bench`: times .kofn files in @kofn/runtime beside their dense networks in onnxruntime. */

import { availableParallelism, cpus, loadavg } from "node:os";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import { compare, type CompareOptions, type FileFigures, installedPeers } from "../bench/compare.js";
import { layersOf } from "../bench/layers.js";
import { openSubject, type Subject } from "../bench/subject.js";
import { KofnError } from "../errors.js";
import { benchReport, layerTable } from "./bench-report.js";
import { interruptible } from "./interrupt.js";
import { countOption } from "./options.js";
import { note, print, printJson } from "./terminal.js";

const RUNS = 100;

const EXAMPLES = `
onnxruntime gets the dense network: the file's graph with its removed weights as zeros. Engines and files take turns, round by round.
Latency is that of a call, from its input to its results. Time and memory to load are those of processes of their own.

Examples:
  kofn bench model.kofn
  kofn bench model.kofn --explain
  kofn bench sparse.kofn sparser.kofn --batch 32
  kofn bench model.kofn --json`;

export function addBenchCommand(program: Command): void {
  program
    .command("bench")
    .summary("time .kofn files beside onnxruntime")
    .description(
      "Times .kofn files in @kofn/runtime beside their dense networks in onnxruntime-node and onnxruntime-web: latency, throughput, memory, time to load, size; and compares results.",
    )
    .argument("<file...>", ".kofn files")
    .option("--batch <n>", "samples of a run (default: 1)")
    .option(
      "--threads <n>",
      "threads of each engine (default: 1); those of kofn share the samples of a batch",
    )
    .option("--runs <n>", `at least so many runs of each engine are timed (default: ${RUNS})`)
    .option("--explain", "show which kernel computes each layer, and why")
    .option("--json", "print the figures as JSON")
    .addHelpText("after", EXAMPLES)
    .action(benchCommand);
}

interface BenchFlags {
  readonly batch?: string;
  readonly threads?: string;
  readonly runs?: string;
  readonly explain?: true;
  readonly json?: true;
}

async function benchCommand(paths: readonly string[], flags: BenchFlags): Promise<void> {
  const batch = countOption("--batch", flags.batch) ?? 1;
  const threads = countOption("--threads", flags.threads) ?? 1;
  const runs = countOption("--runs", flags.runs) ?? RUNS;
  const subjects: Subject[] = [];
  for (const path of paths) subjects.push(await openSubject(path, batch, threads));
  const peers = await installedPeers(threads, (peer, why) => {
    note(`NOT COMPARED WITH ${peer}: ${why}`);
  });
  if (peers.length === 0) {
    throw new KofnError("kofn bench compares with onnxruntime, but neither of its packages can be loaded.");
  }
  const host = machine();
  const figures = await measured(subjects, peers, { threads, runs });
  if (flags.json === true) {
    printJson({ batch, threads, machine: host, files: figures.map(jsonOf) });
  } else {
    const { cpu, cores, node, load } = host;
    print(`${cpu}, ${cores} cores, load average ${load.toFixed(1)} before the bench; Node ${node}`);
    for (const line of benchReport(figures, { batch, threads })) print(line);
    if (flags.explain === true) subjects.forEach(printLayers);
  }
  checkResults(figures);
}

/** The figures of a file with --json. */
function jsonOf({ subject, kofn, peers }: FileFigures): object {
  const { path, net, model } = subject;
  const { input, output } = net.info;
  return {
    path,
    model: model.graph.name,
    input,
    output,
    engines: [kofn, ...peers],
    layers: layersOf(subject),
  };
}

/** What figures depend on. */
interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  /** Load average of the last minute: above the number of cores, other work slows all. */
  readonly load: number;
}

function machine(): Machine {
  const { node } = process.versions;
  return { cpu: cpus()[0]?.model ?? "unknown", cores: availableParallelism(), node, load: loadavg()[0] };
}

/** Measures, and says on stderr how that goes: a live line on a terminal, a line for what is finished elsewhere. */
async function measured(
  subjects: readonly Subject[],
  peers: Parameters<typeof compare>[1],
  options: Pick<CompareOptions, "threads" | "runs">,
): Promise<FileFigures[]> {
  const live =
    process.stderr.isTTY && process.stderr.columns > 0 ? createLogUpdate(process.stderr) : undefined;
  return interruptible(
    (signal) =>
      compare(subjects, peers, {
        ...options,
        onProgress: (doing) => {
          signal.throwIfAborted();
          live?.(doing);
        },
        onDone: (done) => {
          if (live === undefined) note(done);
        },
      }),
    () => "nothing is told of a bench that is not finished.",
  ).finally(() => {
    live?.clear();
    live?.done();
  });
}

function printLayers(subject: Subject): void {
  print();
  for (const line of layerTable(subject)) print(line);
}

/** @throws KofnError if the runtime computes something else than onnxruntime. */
function checkResults(figures: readonly FileFigures[]): void {
  for (const { subject, peers } of figures) {
    const wrong = peers.find(({ comparison }) => !comparison.agrees)?.comparison;
    if (wrong === undefined) continue;
    throw new KofnError(
      `${subject.path}: results of @kofn/runtime differ from those of ${wrong.peer} by ${wrong.largestDifference.toPrecision(2)}, ` +
        `of the largest, expected at most ${wrong.tolerance}: times of different results can't be compared.`,
    );
  }
}
