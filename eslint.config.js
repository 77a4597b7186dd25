import tseslint from "typescript-eslint";
import { circles } from "./lint/circles.js";
import { order } from "./lint/order.js";

const noDefaultExport = { selector: "ExportDefaultDeclaration", message: "Use named exports." };

export default tseslint.config(
  {
    ignores: [
      "**/dist/",
      "**/node_modules/",
      "runs/",
      "coverage/",
      "packages/*/assembly/",
      "packages/*/src/**/*.generated.ts",
    ],
  },
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ["./packages/*/tsconfig.json", "./tsconfig.check.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "no-restricted-syntax": ["error", noDefaultExport],
      "no-restricted-imports": [
        "error",
        { paths: [{ name: "vitest", importNames: ["it"], message: "All tests are written as test." }] },
      ],
    },
  },
  {
    files: ["packages/*/src/**/*.ts", "packages/*/src/**/*.tsx"],
    plugins: { imports: { rules: { circles, order } } },
    rules: { "imports/circles": "error", "imports/order": "error" },
  },
  {
    files: ["packages/*/src/**/*.ts", "packages/*/src/**/*.tsx"],
    ignores: ["packages/*/src/index.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        noDefaultExport,
        {
          selector: ":matches(ExportNamedDeclaration[source], ExportAllDeclaration)",
          message:
            "Only a package's index.ts exports what other files define. Import from the file that does.",
        },
      ],
    },
  },
  {
    files: ["vitest.config.ts", "packages/studio/vite.config.ts"],
    rules: { "no-restricted-syntax": "off" },
  },
);
