/** Builds the page into dist/page, beside the compiled server. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL("src/page", import.meta.url)),
  logLevel: "warn",
  // Where the machine is busy, how long plugins take says nothing.
  build: {
    rolldownOptions: { checks: { bundlerTimings: false } },
    outDir: "../../dist/page",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
