import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError, KofnError } from "../../src/errors.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { loadModel, saveModel } from "../../src/files/models.js";
import { emptyGraph } from "../../src/onnx/model.js";
import { STRING_ENTRY, TENSOR } from "../../src/onnx/schema.js";
import { Tensor } from "../../src/onnx/tensor.js";
import { modelOf, modelOfTensor, run, smallModel } from "../onnx/messages.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kofn-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("saveModel", () => {
  test("writes what loadModel reads, and leaves nothing else behind", async () => {
    const path = join(folder, "m.onnx");
    writeFileSync(path, "what was there before");
    await saveModel(smallModel(), path);
    expect(await loadModel(path)).toEqual(smallModel());
    expect(new Uint8Array(readFileSync(path))).toEqual(encodeModelBytes(smallModel()));
    expect(readdirSync(folder)).toEqual(["m.onnx"]);
  });

  test("writes the same file from two calls at once", async () => {
    const path = join(folder, "m.onnx");
    await Promise.all([saveModel(smallModel(), path), saveModel(smallModel(), path)]);
    expect(await loadModel(path)).toEqual(smallModel());
    expect(readdirSync(folder)).toEqual(["m.onnx"]);
  });

  test("refuses what it can't write", async () => {
    await expect(saveModel(smallModel(), join(folder, "none", "m.onnx"))).rejects.toThrow(
      /can't write .*m\.onnx: there is no such file/,
    );
    mkdirSync(join(folder, "taken"));
    await expect(saveModel(smallModel(), join(folder, "taken"))).rejects.toThrow(KofnError);
    expect(readdirSync(folder)).toEqual(["taken"]);
  });

  test("refuses more than 2 GB", async () => {
    const quarter = new Tensor("uint8", [2 ** 29], new Uint8Array(2 ** 29));
    const initializers = new Map(["a", "b", "c", "d"].map((name) => [name, quarter]));
    const path = join(folder, "m.onnx");
    await expect(saveModel(modelOf({ ...emptyGraph("g"), initializers }), path)).rejects.toThrow(
      /the model takes 21474837\d\d bytes, and an ONNX file ends at 2 GB/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("loadModel", () => {
  test.each([
    ["a file that is missing", "none.onnx", /none\.onnx: can't open the model: there is no such file/],
    ["a folder", ".", /expected an ONNX file, found a folder/],
    ["a device", "/dev/zero", /\/dev\/zero: expected an ONNX file, found no regular file/],
  ])("refuses %s", async (_, name, expected) => {
    const path = name.startsWith("/") ? name : join(folder, name);
    await expect(loadModel(path)).rejects.toThrow(InputError);
    await expect(loadModel(path)).rejects.toThrow(expected);
  });

  test("names the file that is damaged", async () => {
    const path = join(folder, "half.onnx");
    const bytes = encodeModelBytes(smallModel());
    writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    await expect(loadModel(path)).rejects.toThrow(
      /half\.onnx: expected an ONNX model, but the file is damaged/,
    );
  });
});

describe("external data", () => {
  const external = (entries: Readonly<Record<string, string>>, dims = [2]): string => {
    const path = join(folder, "m.onnx");
    const file = modelOfTensor((w) => {
      for (const dim of dims) w.integer(TENSOR.dims, dim);
      w.integer(TENSOR.data_type, 1);
      w.integer(TENSOR.data_location, 1);
      for (const [key, value] of Object.entries(entries)) {
        w.message(TENSOR.external_data, (entry) => {
          entry.text(STRING_ENTRY.key, key);
          entry.text(STRING_ENTRY.value, value);
        });
      }
    });
    writeFileSync(path, file);
    return path;
  };
  const data = Float32Array.of(1, 2, 3, 4);
  beforeEach(() => {
    mkdirSync(join(folder, "inner"));
    writeFileSync(join(folder, "w.bin"), data);
    writeFileSync(join(folder, "inner", "w.bin"), data);
  });

  test.each([
    ["the whole file", { location: "w.bin" }, [4], [1, 2, 3, 4]],
    ["a part", { location: "w.bin", offset: "4", length: "8" }, [2], [2, 3]],
    ["from an offset on", { location: "./w.bin", offset: "8" }, [2], [3, 4]],
    ["a folder within", { location: "inner/w.bin" }, [4], [1, 2, 3, 4]],
  ])("is read: %s", async (_, entries, dims, expected) => {
    const model = await loadModel(external(entries, dims));
    expect(model.graph.initializers.get("t")?.numbers()).toEqual(expected);
    const saved = join(folder, "saved.onnx");
    await saveModel(model, saved);
    expect((await run(readFileSync(saved))).out.data).toEqual(Float32Array.from(expected));
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ["no location", {}, /but its external_data names no location/],
    ["a missing file", { location: "none.bin" }, /"none\.bin": there is no such file/],
    ["a folder", { location: "inner" }, /"inner": it is no regular file/],
    ["an absolute path", { location: "/etc/passwd" }, /the path is absolute/],
    ["an absolute path of Windows", { location: "C:\\w.bin" }, /the path is absolute/],
    ["a path outside", { location: "../w.bin" }, /the path leads outside the model's folder/],
    [
      "a roundabout path outside",
      { location: "inner/../../w.bin" },
      /the path leads outside the model's folder/,
    ],
    ["a zero byte", { location: "w.bin\0" }, /the path has a zero byte/],
    [
      "an offset beyond",
      { location: "w.bin", offset: "12" },
      /bytes 12 to 20 are expected there, but the file has 16/,
    ],
    [
      "a huge offset",
      { location: "w.bin", offset: "9".repeat(30) },
      /the external_data offset "9+", expected a number/,
    ],
    [
      "a negative offset",
      { location: "w.bin", offset: "-4" },
      /the external_data offset "-4", expected a number/,
    ],
    [
      "another length",
      { location: "w.bin", length: "12" },
      /should have 8 bytes of data, but its external_data states 12/,
    ],
  ])("is refused: %s", async (_, entries, expected) => {
    const path = external(entries);
    await expect(loadModel(path)).rejects.toThrow(InputError);
    await expect(loadModel(path)).rejects.toThrow(expected);
    await expect(loadModel(path)).rejects.toThrow(/m\.onnx: initializer "t" /);
  });

  test("is refused outside the folder through symbolic links, to a file or a folder", async () => {
    const outside = mkdtempSync(join(tmpdir(), "kofn-outside-"));
    try {
      writeFileSync(join(outside, "w.bin"), data);
      symlinkSync(join(outside, "w.bin"), join(folder, "link.bin"));
      symlinkSync(outside, join(folder, "link"));
      symlinkSync(join(folder, "w.bin"), join(folder, "within.bin"));
      const expected = /leads outside the model's folder through a symbolic link/;
      await expect(loadModel(external({ location: "link.bin" }))).rejects.toThrow(expected);
      await expect(loadModel(external({ location: "link/w.bin" }))).rejects.toThrow(expected);
      expect((await loadModel(external({ location: "within.bin" }))).graph.initializers.get("t")?.size).toBe(
        2,
      );
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("is refused, not waited for, in a pipe", async () => {
    expect(spawnSync("mkfifo", [join(folder, "pipe")]).status).toBe(0);
    await expect(loadModel(external({ location: "pipe" }))).rejects.toThrow(/"pipe": it is no regular file/);
  });
});
