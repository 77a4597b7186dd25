import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ESLint, Linter } from "eslint";
import fc from "fast-check";
import tseslint from "typescript-eslint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { circles } from "../circles.js";
import { FOLDERS } from "../folders.js";
import { importsOf } from "../imports.js";
import { nameFor, order, packageOf, rowOf } from "../order.js";

const ROOT = resolve(import.meta.dirname, "../..");

/** Every way in which a file can import another. */
const FORMS: readonly ((specifier: string) => string)[] = [
  (specifier) => `import { a } from "${specifier}";`,
  (specifier) => `import { type A } from "${specifier}";`,
  (specifier) => `import type { A } from "${specifier}";`,
  (specifier) => `import * as a from "${specifier}";`,
  (specifier) => `import "${specifier}";`,
  (specifier) => `export * from "${specifier}";`,
  (specifier) => `export { a } from "${specifier}";`,
  (specifier) => `export type { A } from "${specifier}";`,
  (specifier) => `const a = await import("${specifier}");`,
  (specifier) => `type A = import("${specifier}").A;`,
  (specifier) => `type A = typeof import("${specifier}");`,
];

/** What the rules say of a text that stands in a file of a folder. */
function messages(root: string, file: string, text: string, rules: Linter.RulesRecord): string[] {
  const config: Linter.Config = {
    files: ["**/*.ts", "**/*.tsx"],
    plugins: { imports: { rules: { circles, order } } },
    languageOptions: { parser: tseslint.parser },
    rules,
  };
  const linter = new Linter({ cwd: root });
  return linter.verify(text, config, { filename: join(root, file) }).map(({ message }) => message);
}

const ordered = (file: string, text: string): string[] =>
  messages(ROOT, file, text, { "imports/order": "error" });

const fileOf = (folder: string): string =>
  folder === "." ? "index.ts" : folder.endsWith(".ts") ? folder : `${folder}/made.ts`;

/** All rows, from the ground up. */
const ROWS = Object.entries(FOLDERS).flatMap(([name, rows]) =>
  Object.entries(rows).map(([folder, row]) => ({ name, folder, row })),
);

function specifierOf(from: (typeof ROWS)[number], to: (typeof ROWS)[number]): string {
  const file = fileOf(to.folder).replace(/\.ts$/, ".js");
  if (from.name === to.name) return `${fileOf(from.folder).includes("/") ? ".." : "."}/${file}`;
  const name = to.name === "kofn" ? "kofn" : `@kofn/${to.name}`;
  return to.folder === "." ? name : `${name}/${file}`;
}

/** The ends of all ways from a node of a graph, itself included. */
function reachable(edges: readonly { from: number; to: number }[], start: number): Set<number> {
  const reached = new Set([start]);
  for (const node of reached) for (const { from, to } of edges) if (from === node) reached.add(to);
  return reached;
}

interface Uses {
  readonly imports: Iterable<string>;
  readonly outside: Iterable<string>;
}

/** A row as the table may have it. */
function rowText(name: string, folder: string, uses: Uses | undefined): string {
  if (uses === undefined) return `${name} ${folder}: without files`;
  const [imports, outside] = [uses.imports, uses.outside].map((names) => [...names].sort().join(" "));
  return `${name} ${folder}: row("${imports}", "${outside}")`;
}

describe("the table of folders", () => {
  test("names what stands above only", () => {
    const above = new Set<string>();
    for (const { name, folder, row } of ROWS) {
      const known = row.imports.filter((one) => above.has(one.startsWith("@") ? one : `${name} ${one}`));
      expect(row.imports, `${folder} of ${name}`).toEqual(known);
      above.add(`${name} ${folder}`).add(nameFor("", { name, folder }));
    }
  });

  test("says what is imported and no more", () => {
    const used = new Map<object, { imports: Set<string>; outside: Set<string> }>();
    const files = readdirSync(join(ROOT, "packages"), { recursive: true, encoding: "utf8" });
    for (const file of files.filter((one) => /^\w+\/src\/.*\.tsx?$/.test(one))) {
      const path = join(ROOT, "packages", file);
      const from = rowOf(path);
      if (from === undefined) throw new Error(`${path} is in no row`);
      const uses = used.get(from.row) ?? { imports: new Set(), outside: new Set() };
      used.set(from.row, uses);
      for (const { specifier, target } of importsOf(path, readFileSync(path, "utf8"))) {
        const to = target === undefined ? undefined : rowOf(target);
        if (to === undefined) {
          const isAll = specifier.startsWith("node:") && from.row.outside.includes("node:*");
          uses.outside.add(isAll ? "node:*" : packageOf(specifier));
        } else if (to.row !== from.row && !(to.row.isOpen && to.name === from.name)) {
          uses.imports.add(nameFor(from.name, to));
        }
      }
    }
    const said = ROWS.map(({ name, folder, row }) => rowText(name, folder, row));
    const found = ROWS.map(({ name, folder, row }) => rowText(name, folder, used.get(row)));
    expect(said, "rows of lint/folders.js (+), which must be what is imported (-)").toEqual(found);
  });
});

describe("the order of imports", () => {
  test("fails where an import runs upward, from every row to every row below it, in every form", () => {
    for (const [i, from] of ROWS.entries()) {
      for (const [j, to] of ROWS.entries()) {
        if (j <= i) continue;
        const specifier = specifierOf(from, to);
        const file = `packages/${from.name}/src/${fileOf(from.folder)}`;
        const text = FORMS[(i + j) % FORMS.length](specifier);
        expect(ordered(file, text), `${file}: ${text}`).toEqual([expect.stringContaining("may not import")]);
      }
    }
  });

  test.each(FORMS.map((form) => form("../run/types.js")))("sees %s", (text) => {
    expect(ordered("packages/kofn/src/onnx/model.ts", text)).toHaveLength(1);
  });

  test("says what was imported, what may be, and where that stands", () => {
    const text = 'import type { TrainOptions } from "../run/types.js";';
    expect(ordered("packages/kofn/src/layers/layers.ts", text)).toEqual([
      'layers of kofn may not import run ("../run/types.js"); it may import: onnx, errors.ts, figures.ts, random.ts, ' +
        "version.ts. Move what both need into one of these. A folder that stands above layers in lint/folders.js may be " +
        "added to its row there; one that stands below may not.",
    ]);
  });

  test("fails on packages and modules of node that the row does not name", () => {
    expect(
      ordered("packages/kofn/src/onnx/model.ts", 'import { readFile } from "node:fs/promises";'),
    ).toEqual([
      'onnx of kofn may not import "node:fs/promises"; of packages and node\'s modules it may import: nothing. Let a ' +
        "folder that may do it, and hand over what it finds; the table is lint/folders.js.",
    ]);
    expect(ordered("packages/studio/src/page/app.tsx", 'import "node:fs";')).toHaveLength(1);
    expect(ordered("packages/studio/src/page/app.tsx", 'import "preact/hooks";')).toEqual([]);
    expect(ordered("packages/kofn/src/cli/main.ts", 'import "node:os";')).toEqual([]);
  });

  test("fails on folders without a row", () => {
    const text = 'import { KofnError } from "../errors.js";';
    expect(ordered("packages/kofn/src/new/made.ts", text)).toEqual([
      expect.stringContaining("this file is in no folder of lint/folders.js"),
    ]);
    expect(ordered("packages/kofn/src/onnx/made.ts", 'import "../new/made.js";')).toEqual([
      expect.stringContaining('"../new/made.js" leads to no folder'),
    ]);
    expect(ordered("packages/kofn/src/onnx/made.ts", 'import "../../test/support/made.js";')).toHaveLength(1);
  });
});

describe("circles of imports", () => {
  let root = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "kofn-lint-"));
  });
  afterAll(() => {
    rmSync(root, { recursive: true });
  });

  /** Writes files in a new folder; gives what the rule says of each. */
  function circlesOf(files: ReadonlyMap<string, string>): string[][] {
    const made = mkdtempSync(join(root, "files-"));
    for (const [file, text] of files) {
      mkdirSync(dirname(join(made, file)), { recursive: true });
      writeFileSync(join(made, file), text);
    }
    return [...files].map(([file, text]) => messages(made, file, text, { "imports/circles": "error" }));
  }

  test("fails on a circle, and says how it goes", () => {
    const files = new Map([
      ["packages/kofn/src/onnx/a.ts", 'import type { B } from "./b.js";'],
      ["packages/kofn/src/onnx/b.ts", 'import { c } from "../data/c.js";'],
      ["packages/kofn/src/data/c.ts", 'const a = await import("../onnx/a.js");'],
      ["packages/kofn/src/data/d.ts", 'import "../onnx/a.js";'],
    ]);
    const names = [...files.keys()].slice(0, 3);
    const expected = names.map((_, i) => {
      const way = [...names.slice(i), ...names.slice(0, i), names[i]].join(" -> ");
      return [
        `a circle of imports, types included: ${way}. Move what both ends need into a file of its own.`,
      ];
    });
    expect(circlesOf(files)).toEqual([...expected, []]);
  });

  test("follows pages and names of packages", () => {
    const files = new Map([
      ["packages/studio/src/page/a.tsx", 'import { b } from "./b.js";'],
      ["packages/studio/src/page/b.ts", 'import { a } from "./a.js";'],
      ["packages/format/src/run/c.ts", 'import type { D } from "@kofn/format/run/d.js";'],
      ["packages/format/src/run/d.ts", 'import { c } from "./c.js";'],
    ]);
    expect(circlesOf(files).map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  });

  test("fails on exactly those imports that lead back, in any graph of files", () => {
    const SIZE = 6;
    const edge = fc.record({ from: fc.nat(SIZE - 1), to: fc.nat(SIZE - 1), form: fc.nat(FORMS.length - 1) });
    const graph = fc.uniqueArray(edge, { maxLength: 9, selector: ({ from, to }) => from * SIZE + to });
    fc.assert(
      fc.property(graph, (edges) => {
        const files = Array.from({ length: SIZE }, (_, i) => {
          const own = edges.filter(({ from }) => from === i);
          const text = own.map(({ to, form }) => FORMS[form](`./f${to}.js`)).join("\n");
          // A name is declared once.
          return [
            `packages/kofn/src/onnx/f${i}.ts`,
            text.replaceAll(/\ba\b/gi, (a, at) => `${a}${at}`),
          ] as const;
        });
        const leadBack = files.map(
          (_, i) => edges.filter(({ from, to }) => from === i && reachable(edges, to).has(i)).length,
        );
        expect(circlesOf(new Map(files)).map(({ length }) => length)).toEqual(leadBack);
      }),
      { numRuns: 60 },
    );
  });
});

describe("the linter's settings", () => {
  const eslint = new ESLint({ cwd: ROOT });

  async function rulesOf(file: string): Promise<Linter.RulesRecord> {
    const { rules } = (await eslint.calculateConfigForFile(join(ROOT, file))) as Linter.Config;
    return Object.fromEntries(
      Object.entries(rules as Linter.RulesRecord).filter(([rule]) =>
        /^(imports\/|no-restricted-)/.test(rule),
      ),
    );
  }

  test.each(Object.keys(FOLDERS))("hold for the sources of %s", async (name) => {
    for (const file of ["index.ts", "page/made.tsx", "run/made.ts"]) {
      const rules = await rulesOf(`packages/${name}/src/${file}`);
      expect(rules).toMatchObject({ "imports/order": [2], "imports/circles": [2] });
    }
  });

  test("let index.ts export what others define, and nothing else", async () => {
    for (const text of ['export * from "./errors.js";', 'export type { A } from "./errors.js";']) {
      const found = async (file: string): Promise<string[]> =>
        messages(ROOT, file, text, await rulesOf(file));
      expect(await found("packages/kofn/src/index.ts")).toEqual([]);
      expect(await found("packages/kofn/src/figures.ts")).toEqual([
        expect.stringContaining("Only a package's index.ts"),
      ]);
    }
  });

  test("have one word for a test", async () => {
    const file = "packages/kofn/test/random.test.ts";
    const found = async (word: string): Promise<string[]> =>
      messages(ROOT, file, `import { expect, ${word} } from "vitest";`, await rulesOf(file));
    expect(await found("test")).toEqual([]);
    expect(await found("it")).toEqual([expect.stringContaining("All tests are written as test.")]);
  });
});
