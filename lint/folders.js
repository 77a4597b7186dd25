/**
 * The order of folders: which folder imports which, for all sources of all packages.
 *
 * A row is a folder of packages/NAME/src, or a file there; "." are the other files there. A folder imports itself, what
 * its row names, and of its package what is open to all. Every name stands above the row that names it, so no import runs
 * upward. Types count like values.
 *
 * The table says what is imported today and no more (`lint/test` compares), so what is no longer needed leaves it. Of
 * node's modules it should only lose: what trains is to run in a browser.
 */

const words = (/** @type {string} */ text) => text.split(" ").filter((word) => word !== "");

/**
 * @typedef {object} Row
 * @property {readonly string[]} imports folders: "onnx" of the same package, "@kofn/format/run" of another.
 * @property {readonly string[]} outside packages that are not ours, and modules of node: "node:fs", or "node:*" for all.
 * @property {boolean} isOpen whether all rows below in the package may import it.
 */

/** @returns {Row} */
const row = (imports = "", outside = "") => ({
  imports: words(imports),
  outside: words(outside),
  isOpen: false,
});

/** @returns {Row} */
const open = (outside = "") => ({ ...row("", outside), isOpen: true });

/** By package, then by folder. @type {Readonly<Record<string, Readonly<Record<string, Row>>>>} */
export const FOLDERS = {
  format: {
    run: row("", "zod"),
    file: row("run"),
  },
  runtime: {
    "errors.ts": open(),
    "wasm.generated.ts": row(),
    "worker.generated.ts": row(),
    "execute.ts": row("wasm.generated.ts"),
    graph: row("@kofn/format/file"),
    file: row("@kofn/format/file @kofn/format/run graph"),
    plan: row("execute.ts graph wasm.generated.ts"),
    threads: row("execute.ts wasm.generated.ts worker.generated.ts"),
    ".": row("execute.ts file graph plan threads wasm.generated.ts"),
  },
  studio: {
    "api.ts": row("@kofn/format/run"),
    page: row("@kofn/format/run api.ts", "@preact/signals preact uplot"),
    server: row("@kofn/format/run api.ts", "node:* @hono/node-server hono zod"),
    ".": row("server"),
  },
  kofn: {
    "errors.ts": open(),
    "figures.ts": open(),
    "random.ts": open(),
    "version.ts": open("node:fs"),

    data: row(),
    onnx: row(),

    autodiff: row("onnx"),
    datasets: row("data", "node:* hyparquet hyparquet-compressors sharp zod"),
    import: row("onnx"),
    layers: row("onnx"),
    models: row("onnx"),
    optim: row("onnx"),

    lower: row("autodiff onnx"),
    prune: row("@kofn/format/file @kofn/format/run layers onnx"),
    quantize: row("@kofn/format/run layers onnx", "zod"),

    engine: row("@kofn/format/run lower onnx", "onnxruntime-common onnxruntime-node onnxruntime-web"),
    metrics: row("@kofn/format/run layers onnx prune quantize", "node:fs node:fs/promises"),
    options: row("@kofn/format/run data optim prune quantize", "node:os zod"),

    report: row("@kofn/format/file @kofn/format/run layers metrics onnx options", "node:zlib"),
    task: row("@kofn/format/run data engine onnx options"),

    integers: row("@kofn/format/run data engine import layers onnx prune quantize task"),
    step: row("autodiff engine import layers lower onnx optim options prune quantize task"),

    host: row("engine layers onnx optim prune quantize step task", "node:worker_threads"),
    pack: row("@kofn/format/file @kofn/format/run data integers layers metrics onnx prune quantize task"),
    hardware: row("@kofn/format/run data integers onnx quantize task"),

    files: row("@kofn/format/file @kofn/format/run @kofn/runtime engine integers onnx pack", "node:*"),
    train: row("@kofn/format/run data engine host lower onnx optim options prune quantize step task"),

    run: row(
      "@kofn/format/run data files import integers layers metrics onnx options pack prune quantize report step " +
        "task train",
      "node:* zod",
    ),
    bench: row("@kofn/format/run @kofn/runtime engine files onnx pack", "node:*"),

    compare: row("@kofn/format/run bench files options pack report run"),
    cli: row(
      "@kofn/format/file @kofn/format/run @kofn/runtime @kofn/studio bench compare data datasets files hardware import integers layers metrics " +
        "models onnx options pack prune quantize report run step task",
      "node:* commander log-update yaml",
    ),
    "index.ts": row(
      "@kofn/format/file @kofn/format/run autodiff data datasets files hardware host import integers layers lower metrics models onnx " +
        "optim options pack prune quantize run step task",
    ),
  },
};
