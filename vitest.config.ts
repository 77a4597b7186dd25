import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests run the sources of what packages share, not its build.
  resolve: {
    alias: [
      {
        find: /^@kofn\/format\/(.*)\.js$/,
        replacement: `${fileURLToPath(new URL("packages/format/src/", import.meta.url))}$1.ts`,
      },
    ],
  },
  test: {
    include: ["{packages,examples}/*/test/**/*.test.ts", "lint/test/**/*.test.ts"],
    setupFiles: ["packages/kofn/test/support/validated-passes.ts"],
    globalSetup: ["packages/kofn/test/support/generate.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
