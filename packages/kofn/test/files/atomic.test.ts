/** Files that are whole or not there, and temporary files that nobody can lay a trap for. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { KofnError } from "../../src/errors.js";
import {
  createAtomically,
  finalName,
  removeAbandoned,
  writeAtomically,
  writeAtomicallySync,
} from "../../src/files/atomic.js";

const secrets = vi.hoisted(() => ({ hex: undefined as string | undefined, links: true }));
vi.mock("node:crypto", async (load) => {
  const real = await load<{ randomBytes: (size: number) => Buffer }>();
  const randomBytes = (size: number): Buffer =>
    secrets.hex === undefined ? real.randomBytes(size) : Buffer.from(secrets.hex, "hex");
  return { ...real, randomBytes };
});
vi.mock("node:fs", async (load) => {
  const real = await load<{ linkSync: (from: string, to: string) => void }>();
  const linkSync = (from: string, to: string): void => {
    if (!secrets.links) throw Object.assign(new Error("no links here"), { code: "EPERM" });
    real.linkSync(from, to);
  };
  return { ...real, linkSync };
});

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "kofn-atomic-"));
  secrets.hex = undefined;
  secrets.links = true;
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

const path = (name = "file"): string => join(base, name);
const text = (name = "file"): string => readFileSync(path(name), "utf8");
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

const WAYS: [string, (content: string) => Promise<void>][] = [
  ["writeAtomically", (content) => writeAtomically(path(), [bytes(content)])],
  [
    "writeAtomicallySync",
    (content) => {
      writeAtomicallySync(path(), content);
      return Promise.resolve();
    },
  ],
];

describe.each(WAYS)("%s", (_, write) => {
  test("replaces a file, and leaves nothing else", async () => {
    await write("one");
    await write("two");
    expect(text()).toBe("two");
    expect(readdirSync(base)).toEqual(["file"]);
  });

  test("does not follow a link that was planted at the name of the temporary file", async () => {
    writeFileSync(path("victim"), "untouched");
    // The names that older versions would take next.
    for (let i = 0; i < 100; i++) symlinkSync(path("victim"), path(`file.${process.pid}.${i}.tmp`));
    await write("mine");
    expect(text("victim")).toBe("untouched");
    expect(text()).toBe("mine");

    secrets.hex = "0123456789ab";
    const planted = `file.${process.pid}.0123456789ab.tmp`;
    symlinkSync(path("victim"), path(planted));
    await expect(async () => write("other")).rejects.toThrow(KofnError);
    expect(text("victim")).toBe("untouched");
    expect(text()).toBe("mine");
    expect(readdirSync(base)).toContain(planted);
  });

  test("says why a file can't be written, and leaves no temporary one", async () => {
    fs.mkdirSync(path());
    writeFileSync(join(path(), "inside"), "");
    await expect(async () => write("one")).rejects.toThrow(`can't write ${path()}: `);
    expect(readdirSync(base)).toEqual(["file"]);
  });
});

describe("createAtomically", () => {
  test.each([true, false])("makes a file once; with hard links: %s", (links) => {
    secrets.links = links;
    expect(createAtomically(path(), "one")).toBe(true);
    expect(createAtomically(path(), "two")).toBe(false);
    symlinkSync(path("nowhere"), path("link"));
    expect(createAtomically(path("link"), "three")).toBe(false);
    expect(text()).toBe("one");
    expect(readdirSync(base).sort()).toEqual(["file", "link"]);
    expect(() => createAtomically(path("none/file"), "")).toThrow("ENOENT");
  });
});

test("temporary names tell what a file is to be called", () => {
  expect(finalName("model.onnx.12.0123456789ab.tmp")).toBe("model.onnx");
  expect(finalName("model.onnx.12.3.tmp")).toBe("model.onnx");
  expect(finalName("running.json.tmp")).toBe("running.json");
  expect(finalName("model.onnx")).toBe("model.onnx");
});

test("removeAbandoned spares what a process is writing, and what is none of its business", async () => {
  const dead = 2 ** 22 + 1;
  const gone = [`file.${dead}.ab.tmp`, `file.${process.pid}.ab.tmp`, "file.tmp"];
  const left = [`file.${process.ppid}.ab.tmp`, `other.${dead}.ab.tmp`, "file", "file.tmp.old"];
  for (const name of [...gone, ...left]) writeFileSync(path(name), "");
  fs.mkdirSync(path(`file.${dead}.cd.tmp`));
  const writing = writeAtomically(path("file"), [bytes("whole")]);
  removeAbandoned(base, (name) => name === "file");
  await writing;
  expect(text()).toBe("whole");
  expect(readdirSync(base).sort()).toEqual([...left, `file.${dead}.cd.tmp`].sort());
});
