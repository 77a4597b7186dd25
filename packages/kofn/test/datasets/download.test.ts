import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RemoteFile } from "../../src/datasets/catalog.js";
import { getDataset, getFiles, listDatasets } from "../../src/datasets/download.js";
import { transfer, type TransferOptions } from "../../src/datasets/transfer.js";
import { InputError, KofnError } from "../../src/errors.js";
import { sharedFolder } from "../support/fixtures.js";
import { idxBytes, rejection, temporaryFolder } from "./files.js";

const body = Buffer.from(Uint8Array.from({ length: 400_000 }, (_, i) => (i * i + (i >> 7)) % 256));
const file: RemoteFile = { name: "file.bin", size: body.length, sha256: sha256(body) };

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
let handler: Handler;
let requests: IncomingMessage[] = [];
const server = createServer((request, response) => {
  requests.push(request);
  handler(request, response);
});
let base: URL;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
beforeEach(() => {
  requests = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** A server that knows Range and If-Range; cuts its first `cuts` answers after `after` bytes. */
function ranged({ bytes = body, etag = '"v1"', cuts = 0, after = 100_000 } = {}): Handler {
  let left = cuts;
  return (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const condition = request.headers["if-range"];
    const from = range !== null && (condition === undefined || condition === etag) ? Number(range[1]) : 0;
    if (from >= bytes.length) return void response.writeHead(416).end();
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      "content-length": bytes.length - from,
      ...(from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    });
    if (left-- > 0)
      response.write(bytes.subarray(from, from + after), () => setTimeout(() => response.destroy(), 20));
    else response.end(bytes.subarray(from));
  };
}

const dir = temporaryFolder();
let folders = 0;

function newTarget(): string {
  return join(dir, String(folders++), "file.bin");
}

const quick = { stallMs: 1000, attempts: 3, backoffMs: 1 };

async function download(target: string, expected = file, options: TransferOptions = {}): Promise<void> {
  await transfer(new URL(expected.name, base), target, expected, { patience: quick, ...options });
}

/** Checks that the file has arrived, and nothing else lies beside it. */
function expectArrived(target: string, bytes: Uint8Array = body): void {
  expect(sha256(readFileSync(target))).toBe(sha256(bytes));
  expect(readdirSync(join(target, "..")).filter((name) => name.includes(".part"))).toEqual([]);
}

function partsOf(target: string): string[] {
  return readdirSync(join(target, "..")).filter((name) => name.endsWith(".part"));
}

async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(KofnError);
  return error.message;
}

/** Leaves a part behind, as an interrupted download does. */
async function interrupted(target: string): Promise<void> {
  handler = ranged({ cuts: 99 });
  await failure(download(target, file, { patience: { ...quick, attempts: 1 } }));
  expect(partsOf(target)).toEqual(["file.bin.part"]);
  expect(readFileSync(`${target}.part`).length).toBe(100_000);
  expect(existsSync(target)).toBe(false);
  requests = [];
}

describe("transfer", () => {
  test("downloads a file and reports progress", async () => {
    handler = ranged();
    const target = newTarget();
    const progress: number[] = [];
    await download(target, file, {
      onProgress: (received, total) => {
        progress.push(received);
        expect(total).toBe(body.length);
      },
    });
    expectArrived(target);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(body.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  test("continues by itself after the connection breaks, as often as bytes arrive", async () => {
    handler = ranged({ cuts: 3 });
    const target = newTarget();
    await download(target);
    expectArrived(target);
    expect(requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      "bytes=100000-",
      "bytes=200000-",
      "bytes=300000-",
    ]);
    expect(requests[1].headers["if-range"]).toBe('"v1"');
  });

  test("continues what an earlier call, or a process that was killed, left behind", async () => {
    const target = newTarget();
    await interrupted(target);
    handler = ranged();
    await download(target);
    expectArrived(target);
    expect(requests.map(({ headers }) => headers.range)).toEqual(["bytes=100000-"]);

    const killed = newTarget();
    mkdirSync(join(killed, ".."));
    writeFileSync(`${killed}.2147483646-0123abcd.part`, body.subarray(0, 5000));
    writeFileSync(
      `${killed}.2147483646-0123abcd.part.json`,
      JSON.stringify({ url: new URL("file.bin", base).href }),
    );
    await download(killed);
    expectArrived(killed);
    expect(requests.at(-1)?.headers.range).toBe("bytes=5000-");
  });

  test("starts anew where the server ignores Range", async () => {
    const target = newTarget();
    await interrupted(target);
    handler = (_, response) => response.writeHead(200, { "content-length": body.length }).end(body);
    await download(target);
    expectArrived(target);
  });

  test("starts anew where the file has changed, or the part is of no use", async () => {
    const target = newTarget();
    await interrupted(target);
    writeFileSync(`${target}.part`, new Uint8Array(1234));
    handler = ranged({ etag: '"v2"' });
    await download(target);
    expectArrived(target);
    expect(requests.map(({ headers }) => headers["if-range"])).toEqual(['"v1"']);

    const long = newTarget();
    await interrupted(long);
    writeFileSync(`${long}.part`, new Uint8Array(body.length + 10));
    handler = ranged();
    await download(long);
    expectArrived(long);

    const shifted = newTarget();
    await interrupted(shifted);
    const honest = ranged();
    handler = (request, response) => {
      if (request.headers.range === undefined) honest(request, response);
      else response.writeHead(206, { "content-range": `bytes 7-9/${body.length}` }).end("abc");
    };
    await download(shifted);
    expectArrived(shifted);
  });

  test("does not ask again for a part that is whole", async () => {
    const target = newTarget();
    await interrupted(target);
    writeFileSync(`${target}.part`, body);
    await download(target);
    expectArrived(target);
    expect(requests).toEqual([]);
  });

  test("does not continue the file of another server", async () => {
    const target = newTarget();
    await interrupted(target);
    handler = ranged();
    await transfer(new URL("mirror/file.bin", base), target, file, { patience: quick });
    expectArrived(target);
    expect(requests[0].headers.range).toBeUndefined();
  });

  test("deletes a file with the wrong checksum, and says so", async () => {
    const wrong = Buffer.from(body);
    wrong[200_000] ^= 1;
    handler = ranged({ bytes: wrong });
    const target = newTarget();
    const message = await failure(download(target));
    expect(message).toContain(
      `expected ${body.length} bytes with SHA-256 ${file.sha256}, found ${body.length} bytes`,
    );
    expect(message).toContain(sha256(wrong));
    expect(message).toContain("The download was deleted.");
    expect(readdirSync(join(target, ".."))).toEqual([]);
  });

  test("refuses a file of another length at once", async () => {
    handler = (_, response) => response.writeHead(200, { "content-length": 12 }).end("Hello world!");
    expect(await failure(download(newTarget()))).toContain(
      `expected file.bin of ${body.length} bytes, the server offers 12 bytes: another file`,
    );
    let sent = 0;
    handler = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(10_000))) sent += 10_000;
      };
      response.on("drain", more);
      more();
    };
    const target = newTarget();
    expect(await failure(download(target))).toContain(`the server offers more than ${body.length} bytes`);
    expect(readdirSync(join(target, ".."))).toEqual([]);
    expect(sent).toBeLessThan(20_000_000);
  });

  test("accepts the same content compressed anew, and nothing else", async () => {
    const content = sha256(body);
    const packed: RemoteFile = {
      name: "file.gz",
      size: 380_000,
      sha256: "0".repeat(64),
      contentSha256: content,
    };
    const anew = gzipSync(body, { level: 1 });
    handler = ranged({ bytes: anew });
    const target = newTarget();
    await download(target, packed);
    expectArrived(target, anew);
    const other = gzipSync(body.subarray(1), { level: 1 });
    handler = ranged({ bytes: other });
    expect(await failure(download(newTarget(), packed))).toContain("wrong checksum");
  });

  test("follows redirects", async () => {
    const whole = ranged();
    handler = (request, response) => {
      if (request.url === "/elsewhere") whole(request, response);
      else response.writeHead(302, { location: "/elsewhere" }).end();
    };
    const target = newTarget();
    await download(target);
    expectArrived(target);
  });

  test("gives up at once on 404, after some attempts on 503, and leaves nothing behind", async () => {
    handler = (_, response) => response.writeHead(404).end("no");
    const target = newTarget();
    const message = await failure(download(target));
    expect(message).toContain(`${base.href}file.bin: expected the file, the server answered 404`);
    expect(message).toContain("--mirror");
    expect(requests.length).toBe(1);
    handler = (_, response) => response.writeHead(503).end("busy");
    expect(await failure(download(target))).toContain(
      "3 times in a row without progress (the server answered 503)",
    );
    expect(requests.length).toBe(4);
    expect(readdirSync(join(target, ".."))).toEqual([]);
  });

  test("recovers from 503 and from a connection that is reset", async () => {
    const whole = ranged();
    let count = 0;
    handler = (request, response) => {
      count++;
      if (count === 1) response.writeHead(503).end();
      else if (count === 2) request.socket.destroy();
      else whole(request, response);
    };
    const target = newTarget();
    await download(target);
    expectArrived(target);
  });

  test("counts a connection on which nothing arrives as broken", async () => {
    const whole = ranged();
    handler = (request, response) => {
      if (requests.length > 1) {
        whole(request, response);
        return;
      }
      response.writeHead(200, { "content-length": body.length, etag: '"v1"' });
      response.write(body.subarray(0, 50_000));
    };
    const target = newTarget();
    await download(target, file, { patience: { ...quick, stallMs: 150 } });
    expectArrived(target);
    expect(requests[1].headers.range).toBe("bytes=50000-");
    handler = () => undefined;
    const silent = await failure(
      download(newTarget(), file, { patience: { ...quick, stallMs: 60, attempts: 2 } }),
    );
    expect(silent).toContain("nothing arrived for 0.06 seconds");
  });

  test("waits for a connection that is slow but not dead", async () => {
    handler = (_, response) => {
      response.writeHead(200, { "content-length": body.length });
      for (let i = 0; i < 8; i++)
        setTimeout(() => response.write(body.subarray(i * 50_000, (i + 1) * 50_000)), i * 60);
    };
    const target = newTarget();
    await download(target, file, { patience: { ...quick, stallMs: 300 } });
    expectArrived(target);
    expect(requests.length).toBe(1);
  });

  test("says that nobody answers", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const url = new URL(`http://127.0.0.1:${port}/file.bin`);
    expect(await failure(transfer(url, newTarget(), file, { patience: quick }))).toContain("ECONNREFUSED");
  });

  test("refuses content that the server encodes", async () => {
    handler = (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(body));
    expect(await failure(download(newTarget()))).toContain("content-encoding gzip");
  });

  test("stops when asked to, and keeps what has arrived", async () => {
    handler = (_, response) => {
      response.writeHead(200, { "content-length": body.length, etag: '"v1"' });
      response.write(body.subarray(0, 50_000));
    };
    const target = newTarget();
    const controller = new AbortController();
    const stopped = failure(
      download(target, file, {
        signal: controller.signal,
        onProgress: (received) => {
          if (received === 50_000) controller.abort();
        },
      }),
    );
    expect(await stopped).toContain("the download was stopped. What has arrived is kept");
    expect(readFileSync(`${target}.part`).length).toBe(50_000);
    expect(await failure(download(newTarget(), file, { signal: AbortSignal.abort() }))).toContain(
      "was stopped",
    );
  });

  test("several downloads of the same file at once do no harm", async () => {
    const target = newTarget();
    await interrupted(target);
    handler = ranged({ cuts: 4, after: 30_000 });
    await Promise.all([download(target), download(target), download(target)]);
    expectArrived(target);
  });

  test.skipIf(process.platform !== "linux")("says that the disk is full", async () => {
    handler = ranged();
    const target = newTarget();
    mkdirSync(join(target, ".."));
    symlinkSync("/dev/full", `${target}.part`);
    expect(await failure(download(target))).toContain(`${join(target, "..")}: no space left for file.bin`);
  });

  test("says that the folder can't be written", async () => {
    const occupied = newTarget();
    mkdirSync(join(occupied, ".."));
    writeFileSync(occupied, "a file where a folder should be");
    const error = await rejection(download(join(occupied, "file.bin")));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain(`${occupied}: expected a folder that can be written`);
  });
});

describe("getFiles", () => {
  test("brings what is missing or damaged, and leaves what is sound", async () => {
    handler = (request, response) => {
      ranged({ bytes: request.url?.endsWith("b.bin") === true ? body.subarray(5) : body })(request, response);
    };
    const files = [
      { ...file, name: "a.bin" },
      { name: "b.bin", size: body.length - 5, sha256: sha256(body.subarray(5)) },
      { ...file, name: "c.bin" },
    ];
    const folder = join(dir, String(folders++));
    mkdirSync(folder);
    writeFileSync(join(folder, "a.bin"), body);
    writeFileSync(join(folder, "c.bin"), "damaged");
    const seen = new Set<string>();
    const result = await getFiles("mnist", files, base, {
      dir: folder,
      onProgress: ({ file: name, index, files: count }) => seen.add(`${name} ${index}/${count}`),
    });
    expect(result).toEqual({
      name: "mnist",
      dir: folder,
      files: [
        { name: "a.bin", state: "present" },
        { name: "b.bin", state: "downloaded" },
        { name: "c.bin", state: "replaced" },
      ],
    });
    expect([...seen]).toEqual(["b.bin 2/3", "c.bin 3/3"]);
    expect(readFileSync(join(folder, "c.bin")).equals(body)).toBe(true);
  });
});

describe("getDataset", () => {
  test("refuses unknown names and mirrors that are no URL", async () => {
    const unknown = await rejection(getDataset("mnits"));
    expect(unknown).toBeInstanceOf(InputError);
    expect(unknown.message).toContain("Data sets: mnist, fashion-mnist, kmnist, cifar10, cifar100.");
    for (const mirror of ["/srv/mnist", "ftp://example.org/", ""]) {
      expect(await rejection(getDataset("mnist", { mirror }))).toBeInstanceOf(InputError);
    }
  });

  test("asks the mirror for the publisher's file names", async () => {
    handler = (_, response) => response.writeHead(404).end();
    const folder = join(dir, String(folders++));
    const message = await failure(getDataset("kmnist", { dir: folder, mirror: `${base.href}some/folder` }));
    expect(requests.map(({ url }) => url)).toEqual(["/some/folder/train-images-idx3-ubyte.gz"]);
    expect(message).toContain("/some/folder/train-images-idx3-ubyte.gz");
  });

  const mnist = sharedFolder("datasets/mnist");
  test.skipIf(mnist === undefined)("brings MNIST from a mirror that cuts connections", async () => {
    let served = 0;
    handler = (request, response) => {
      const bytes = readFileSync(join(String(mnist), String(request.url).replace("/mnist/", "")));
      ranged({ bytes, cuts: served++ % 2 === 0 ? 1 : 0, after: bytes.length >> 1 })(request, response);
    };
    const folder = join(dir, String(folders++));
    const options = { dir: folder, mirror: `${base.href}mnist/`, patience: quick };
    const first = await getDataset("mnist", options);
    expect(first.files.map(({ state }) => state)).toEqual(new Array(4).fill("downloaded"));
    expect(requests.length).toBe(8);
    const again = await getDataset("mnist", options);
    expect(again.files.map(({ state }) => state)).toEqual(new Array(4).fill("present"));
    expect(requests.length).toBe(8);
    expect((await listDatasets({ dir: folder })).find(({ name }) => name === "mnist")?.complete).toBe(true);
  });
});

describe("listDatasets", () => {
  test("tells what is there, what is missing and what was begun", async () => {
    const folder = join(dir, String(folders++));
    mkdirSync(folder);
    writeFileSync(join(folder, "train-labels-idx1-ubyte"), idxBytes([0], []));
    writeFileSync(join(folder, "t10k-images-idx3-ubyte.gz.part"), "begun");
    writeFileSync(join(folder, "cifar-100-binary.tar.gz"), "");
    const statuses = new Map((await listDatasets({ dir: folder })).map((status) => [status.name, status]));
    expect([...statuses.keys()]).toEqual(["mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100"]);
    expect(statuses.get("mnist")).toMatchObject({
      dir: folder,
      complete: false,
      partial: true,
      missing: ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    });
    expect(statuses.get("cifar10")).toMatchObject({
      complete: false,
      partial: false,
      missing: ["cifar-10-binary.tar.gz"],
    });
    expect(statuses.get("cifar100")).toMatchObject({ complete: true, missing: [] });
  });
});
