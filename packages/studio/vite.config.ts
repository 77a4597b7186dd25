/** Builds the page into dist/page, beside the compiled server. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL("src/page", import.meta.url)),
  logLevel: "warn",
  build: { outDir: "../../dist/page", emptyOutDir: true, target: "es2023", assetsInlineLimit: 0 },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
