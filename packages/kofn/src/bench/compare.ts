/** Times .kofn files in @kofn/runtime beside their dense networks in onnxruntime, by turns. */

import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../errors.js";
import { saveModel } from "../files/models.js";
import {
  type EngineName,
  kofnRunner,
  onnxRunner,
  openPeer,
  type Peer,
  PEERS,
  type Runner,
} from "./engines.js";
import { type Footprint, footprint, type FootprintTask } from "./footprint.js";
import { type Contender, takeTurns, timeRuns } from "./rounds.js";
import { median, type Summary, summarise } from "./statistics.js";
import type { Subject } from "./subject.js";

/** Results that differ by no more, as a part of the largest one, are the same. */
const TOLERANCE = 1e-4;
/** The same where activations are rounded to codes: one that lies between two codes may become either. */
const CODE_TOLERANCE = 1e-2;

export const ROUNDS = 10;
/** A round takes at least so long, and its first runs are not timed. */
const ROUND = { ms: 20, warmUp: 2 } as const;
/** Before the first round engines run at least so often and so long: what runs often is compiled anew. */
const WARM_UP = { warmUp: 0, runs: 10, ms: 200 } as const;
/** Processes that load a network; the median of their figures counts. */
const LOADS = 3;

export interface CompareOptions {
  readonly threads: number;
  /** At least so many runs of each engine are timed. */
  readonly runs: number;
  /** Told what is being done. */
  readonly onProgress?: (doing: string) => void;
  /** Told what is finished. */
  readonly onDone?: (done: string) => void;
}

/** How an engine did. */
export interface EngineFigures extends Footprint {
  readonly engine: EngineName;
  /** Runs that were timed. */
  readonly runs: number;
  /** Milliseconds of a run. */
  readonly latencyMs: Summary;
  readonly samplesPerSecond: number;
  readonly fileBytes: number;
}

/** How kofn did beside a peer. */
export interface Comparison {
  readonly peer: Peer;
  /** The peer's median latency over kofn's: below 1 kofn is slower. */
  readonly speed: number;
  /** The same of the fastest runs: other work on the machine interrupts long runs more often than short ones. */
  readonly bestSpeed: number;
  /** The peer's time to load over kofn's. */
  readonly loading: number;
  /** kofn's memory over the peer's. */
  readonly memory: number;
  /** kofn's file over the peer's. */
  readonly file: number;
  /** By how much results differ at most, as a part of the largest one. */
  readonly largestDifference: number;
  /** What it may be. */
  readonly tolerance: number;
  readonly agrees: boolean;
}

export interface FileFigures {
  readonly subject: Subject;
  readonly kofn: EngineFigures;
  readonly peers: readonly (EngineFigures & { readonly comparison: Comparison })[];
}

/** An engine with a file. */
interface Entry<Name extends EngineName = EngineName> extends Footprint {
  readonly engine: Name;
  readonly runner: Runner;
  readonly fileBytes: number;
  /** Of its results from kofn's. */
  readonly difference: number;
  /** Milliseconds of each run. */
  readonly times: number[];
}

/** A file with its engines. */
interface Field {
  readonly subject: Subject;
  readonly kofn: Entry<"kofn">;
  readonly peers: readonly Entry<Peer>[];
}

/**
 * Finds the peers that are installed.
 *
 * @param onMissing told of those that are not.
 */
export async function installedPeers(
  threads: number,
  onMissing: (peer: Peer, why: string) => void,
): Promise<Peer[]> {
  const found: Peer[] = [];
  for (const peer of PEERS) {
    try {
      await openPeer(peer, threads);
      found.push(peer);
    } catch (error) {
      onMissing(peer, messageOf(error));
    }
  }
  return found;
}

/**
 * Measures files: what they take to load, then whether results agree, then latency, all files and engines by turns.
 *
 * @throws KofnError if onnxruntime refuses a model.
 */
export async function compare(
  subjects: readonly Subject[],
  peers: readonly Peer[],
  options: CompareOptions,
): Promise<FileFigures[]> {
  const folder = await mkdtemp(join(tmpdir(), "kofn-bench-"));
  try {
    const fields: Field[] = [];
    for (const [i, subject] of subjects.entries()) {
      fields.push(await prepare(subject, join(folder, `${i}.onnx`), peers, options));
      options.onDone?.(`${subject.path}: loaded by ${["kofn", ...peers].join(", ")}`);
    }
    await timeInTurns(fields, options);
    return fields.map(figuresOf);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function prepare(
  subject: Subject,
  onnxPath: string,
  peers: readonly Peer[],
  { threads, onProgress }: CompareOptions,
): Promise<Field> {
  const { path, net, model, names, batch } = subject;
  await saveModel(model, onnxPath);
  const task = { names, dims: batch.dims, threads };
  const progress = (doing: string): void => onProgress?.(`${path}: ${doing}`);
  const ownFootprint = await footprintOf({ ...task, engine: "kofn", path }, progress);
  const runner = kofnRunner(net, batch);
  const results = await runner.results();
  const kofn: Entry<"kofn"> = {
    engine: "kofn",
    runner,
    ...ownFootprint,
    fileBytes: net.info.bytes.file,
    difference: 0,
    times: [],
  };
  const { size } = await stat(onnxPath);
  const entries: Entry<Peer>[] = [];
  for (const engine of peers) {
    const peerFootprint = await footprintOf({ ...task, engine, path: onnxPath }, progress);
    progress(`comparing results with ${engine}`);
    const runner = await onnxRunner(engine, onnxPath, names, batch, threads);
    const difference = largestDifference(results, await runner.results());
    entries.push({ engine, runner, ...peerFootprint, fileBytes: size, difference, times: [] });
  }
  return { subject, kofn, peers: entries };
}

async function footprintOf(task: FootprintTask, progress: (doing: string) => void): Promise<Footprint> {
  const all: Footprint[] = [];
  for (let i = 1; i <= LOADS; i++) {
    progress(`loading in a process of its own, ${task.engine}, ${i} of ${LOADS}`);
    all.push(await footprint(task));
  }
  return {
    loadMs: median(all.map(({ loadMs }) => loadMs)),
    memoryBytes: median(all.map(({ memoryBytes }) => memoryBytes)),
  };
}

/** Fills in the times of all entries, and closes them. */
async function timeInTurns(fields: readonly Field[], options: CompareOptions): Promise<void> {
  const { runs, onProgress, onDone } = options;
  let doing = "warm-up";
  const timed = fields.flatMap(({ subject, kofn, peers }) =>
    [kofn, ...peers].map((entry) => {
      const measure = (size: Parameters<typeof timeRuns>[1]): Promise<number[]> => {
        onProgress?.(`${doing}: ${subject.path}, ${entry.engine}`);
        return timeRuns(() => entry.runner.run(), size);
      };
      return { entry, measure };
    }),
  );
  for (const { measure } of timed) await measure(WARM_UP);
  const contenders = timed.map(({ entry, measure }): Contender => ({
    name: entry.engine,
    round: async () => {
      const times = await measure({ ...ROUND, runs: Math.ceil(runs / ROUNDS) });
      entry.times.push(...times);
      return median(times);
    },
    close: () => entry.runner.close(),
  }));
  const roundName = (round: number): string => `round ${round} of ${ROUNDS}`;
  doing = roundName(1);
  await takeTurns(contenders, { rounds: ROUNDS }, (done) => {
    onDone?.(roundName(done));
    doing = roundName(done + 1);
  });
}

function figuresOf({ subject, kofn, peers }: Field): FileFigures {
  const own = engineFigures(kofn, subject);
  const tolerance = subject.hasCodes ? CODE_TOLERANCE : TOLERANCE;
  return {
    subject,
    kofn: own,
    peers: peers.map((entry) => {
      const figures = engineFigures(entry, subject);
      const comparison = {
        peer: entry.engine,
        speed: figures.latencyMs.median / own.latencyMs.median,
        bestSpeed: figures.latencyMs.best / own.latencyMs.best,
        loading: figures.loadMs / own.loadMs,
        memory: own.memoryBytes / figures.memoryBytes,
        file: own.fileBytes / figures.fileBytes,
        largestDifference: entry.difference,
        tolerance,
        agrees: entry.difference <= tolerance,
      };
      return { ...figures, comparison };
    }),
  };
}

function engineFigures(entry: Entry, { batch }: Subject): EngineFigures {
  const { engine, loadMs, memoryBytes, fileBytes, times } = entry;
  const latencyMs = summarise(times);
  const samplesPerSecond = (1000 * batch.dims[0]) / latencyMs.median;
  return { engine, runs: times.length, latencyMs, samplesPerSecond, loadMs, memoryBytes, fileBytes };
}

function largestDifference(results: Float32Array, expected: Float32Array): number {
  if (results.length !== expected.length) return Infinity;
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let largest = 0;
  results.forEach((value, i) => {
    const one = Math.abs(value - expected[i]);
    largest = one <= largest ? largest : Number.isNaN(one) ? Infinity : one;
  });
  return largest === 0 ? 0 : largest / scale;
}
