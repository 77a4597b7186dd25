/** Serves the page and a network to this machine. */

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { load } from "@kofn/runtime";
import { InputError } from "kofn";
import { build } from "vite";
import { firstLayerOf } from "./first-layer.js";

const PAGE = fileURLToPath(new URL("page", import.meta.url));
const ADDRESS = "127.0.0.1";
const PIXELS = 28 * 28;

const TYPES = /** @type {const} */ ({
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  kofn: "application/octet-stream",
});

const HEADERS = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:; connect-src 'self'",
  // Isolated pages have clocks that are fine enough to see a network of kilobytes work.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "X-Content-Type-Options": "nosniff",
};

/**
 * Builds the page and serves it with a network, on a free port, until it is closed.
 *
 * @param {Uint8Array} file a .kofn file
 * @param {string} name its name, for messages
 * @returns {Promise<{ url: string, close: () => void }>}
 * @throws InputError if the network does not read digits.
 */
export async function serve(file, name) {
  const files = new Map([
    ...(await builtPage()),
    ["model.kofn", file],
    ["first-layer.json", JSON.stringify(await digitLayerOf(file, name))],
  ]);
  const server = createServer(({ url = "/", method }, response) => {
    const path = url === "/" ? "index.html" : url.slice(1);
    const content = files.get(path);
    const type = Object.entries(TYPES).find(([ending]) => path.endsWith(`.${ending}`))?.[1];
    for (const [header, value] of Object.entries(HEADERS)) response.setHeader(header, value);
    if (content === undefined || type === undefined || (method !== "GET" && method !== "HEAD")) {
      response.writeHead(404).end();
    } else response.setHeader("Content-Type", type).end(content);
  });
  /** @type {Promise<void>} */
  const listening = new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, ADDRESS, resolve);
  });
  await listening;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `http://${ADDRESS}:${port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * The files of the page, by their paths.
 *
 * @returns {Promise<[path: string, content: string | Uint8Array][]>}
 */
async function builtPage() {
  const result = await build({
    root: PAGE,
    configFile: false,
    logLevel: "warn",
    build: { write: false, target: "es2023", assetsInlineLimit: 0, modulePreload: false },
  });
  const outputs = Array.isArray(result) ? result : "output" in result ? [result] : [];
  return outputs
    .flatMap(({ output }) => output)
    .map((one) => [one.fileName, one.type === "chunk" ? one.code : one.source]);
}

/**
 * The first layer of a network that tells digits apart.
 *
 * @param {Uint8Array} file
 * @param {string} name
 */
async function digitLayerOf(file, name) {
  const { input, output, normalization } = (await load(file)).info;
  const [pixels, classes] = [input, output].map((dims) => dims.reduce((a, b) => a * b));
  if (pixels !== PIXELS || classes !== 10 || normalization === undefined) {
    throw new InputError(
      `${name}: expected a network that reads grey images of 28x28, as MNIST's, knows their normalisation and tells ten classes apart, ` +
        `got one from [${input.join(", ")}] to [${output.join(", ")}]${normalization === undefined ? " without normalisation" : ""}. ` +
        "Train one: kofn train lenet-300-100 --data mnist --prune fc1=weights:40 --out runs/mnist.",
    );
  }
  return firstLayerOf(file, name);
}
