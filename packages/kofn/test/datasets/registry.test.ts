import { homedir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CATALOG, DOWNLOADABLE } from "../../src/datasets/catalog.js";
import { dataHome, datasetFolder, datasets, loadDataset } from "../../src/datasets/registry.js";
import { InputError } from "../../src/errors.js";
import { rejection, temporaryFolder } from "./files.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("dataHome", () => {
  test("is $KOFN_DATA, else in the user's cache folder", () => {
    const cache = join(homedir(), ".cache", "kofn");
    expect(dataHome({ KOFN_DATA: "/data", XDG_CACHE_HOME: "/cache" }, "linux")).toBe("/data");
    expect(dataHome({ XDG_CACHE_HOME: "/cache" }, "linux")).toBe(join("/cache", "kofn"));
    expect(dataHome({ XDG_CACHE_HOME: "relative" }, "linux")).toBe(cache);
    expect(dataHome({ KOFN_DATA: "", XDG_CACHE_HOME: "" }, "linux")).toBe(cache);
    expect(dataHome({}, "darwin")).toBe(join(homedir(), "Library", "Caches", "kofn"));
    expect(dataHome({ LOCALAPPDATA: "/local" }, "win32")).toBe(join("/local", "kofn"));
  });

  test("holds each data set in a folder of its name; a folder that is given is taken as it is", () => {
    vi.stubEnv("KOFN_DATA", "/data");
    expect(datasetFolder("fashion-mnist")).toBe(join("/data", "fashion-mnist"));
    expect(datasetFolder("fashion-mnist", { dir: "here" })).toBe("here");
  });
});

describe("loadDataset", () => {
  test("draws glyphs", async () => {
    expect((await loadDataset("glyphs")).name).toBe("glyphs");
  });

  test("refuses an unknown name and lists the known ones", async () => {
    for (const name of ["mnits", "", "constructor"]) {
      const error = await rejection(loadDataset(name));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toBe(
        `data set "${name}": no such data set. Data sets: glyphs, mnist, fashion-mnist, kmnist, cifar10, cifar100; or the path of a folder with a folder of images for each class, of a .parquet file, or of a folder of these.`,
      );
    }
  });

  test("says of each data set which files are missing, where, and how to get them", async () => {
    const home = temporaryFolder();
    vi.stubEnv("KOFN_DATA", home);
    for (const name of DOWNLOADABLE) {
      const error = await rejection(loadDataset(name));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toContain(join(home, name));
      expect(error.message).toContain(`kofn data get ${name}`);
      expect(error.message).toContain("--data-dir");
    }
    for (const load of [
      datasets.mnist,
      datasets.fashionMnist,
      datasets.kmnist,
      datasets.cifar10,
      datasets.cifar100,
    ]) {
      expect((await rejection(load({ dir: join(home, "mine") }))).message).toContain(join(home, "mine"));
    }
  });
});

describe("the catalogue", () => {
  test("has a checksum for every file and ten or a hundred different classes", () => {
    for (const { files, classes, url } of Object.values(CATALOG)) {
      expect(url).toMatch(/^https?:.*\/$/);
      expect([10, 100]).toContain(new Set(classes).size);
      for (const file of files) {
        expect(file.sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(file.size).toBeGreaterThan(0);
      }
    }
  });
});
