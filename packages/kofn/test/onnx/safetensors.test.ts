import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { byteLength, type DataType } from "../../src/onnx/dtype.js";
import { decodeSafetensors, encodeSafetensors } from "../../src/onnx/safetensors.js";
import { sizeOf, Tensor, tensorFrom } from "../../src/onnx/tensor.js";

const example = (): Map<string, Tensor> =>
  new Map<string, Tensor>([
    ["mask", tensorFrom("uint8", [3], [1, 0, 1])],
    ["w", tensorFrom("float32", [2, 2], [1, 2, 3, 4])],
    ["step", tensorFrom("int64", [], [7])],
  ]);

/** A file with this header and so many bytes of data. */
const fileOf = (header: string | object, dataLength = 0): Uint8Array => {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataLength)]);
};
const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [start, end],
});

describe("encodeSafetensors", () => {
  test("lays wide types first, after a header that ends at a multiple of 8", () => {
    const file = encodeSafetensors(example(), { by: "kofn" });
    const headerLength = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(headerLength % 8).toBe(0);
    expect(new TextDecoder().decode(file.subarray(8, 8 + headerLength)).trimEnd()).toMatchInlineSnapshot(
      `"{"__metadata__":{"by":"kofn"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},"mask":{"dtype":"U8","shape":[3],"data_offsets":[24,27]}}"`,
    );
    expect(file.length).toBe(8 + headerLength + 8 + 16 + 3);
  });

  test("does not depend on the order of the tensors", () => {
    const reversed = new Map([...example()].reverse());
    expect(encodeSafetensors(reversed, { a: "1", b: "2" })).toEqual(
      encodeSafetensors(example(), { b: "2", a: "1" }),
    );
  });

  test("refuses what the format does not have", () => {
    const four = new Tensor("int4", [2], new Uint8Array(1));
    expect(() => encodeSafetensors(new Map([["w", four]]))).toThrow(
      'no element type int4, which tensor "w" has',
    );
    const named = new Map([["__metadata__", tensorFrom("uint8", [], [1])]]);
    expect(() => encodeSafetensors(named)).toThrow('can\'t be named "__metadata__"');
  });
});

describe("round trip", () => {
  test("of any tensors and names, without copying", () => {
    const dtypes: DataType[] = [
      "float64",
      "float32",
      "float16",
      "bfloat16",
      "float8e4m3fn",
      "int64",
      "int32",
      "uint16",
      "int8",
      "bool",
    ];
    const tensor = fc
      .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 3 }))
      .chain(([dtype, dims]) => {
        const length = byteLength(dtype, sizeOf(dims));
        return fc
          .uint8Array({ minLength: length, maxLength: length })
          .map((bytes) => new Tensor(dtype, dims, Uint8Array.from(bytes)));
      });
    const name = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("__proto__", "10", "9", "constructor"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, tensor)), (all) => {
        const tensors = new Map(all);
        const file = encodeSafetensors(tensors);
        const again = decodeSafetensors(file, "t.safetensors");
        expect(again).toEqual(tensors);
        for (const { bytes } of again.values()) expect(bytes.buffer).toBe(file.buffer);
        expect(encodeSafetensors(again)).toEqual(file);
      }),
    );
  });
});

describe("damaged files", () => {
  test.each<[string, Uint8Array, string]>([
    ["too short", new Uint8Array(7), "it has 7 bytes, which is too short for a header"],
    [
      "a header beyond the end",
      fileOf("{}").subarray(0, 9),
      "its first 8 bytes state a header of 2 bytes where 1 are left",
    ],
    ["an absurd header length", new Uint8Array(16).fill(255), "state a header of 18446744073709551615 bytes"],
    [
      "a header that is too large",
      fileOf(" ".repeat(16 * 2 ** 20 + 1)),
      "more than the 16777216 that kofn reads",
    ],
    ["bad JSON", fileOf("{"), "its header is no JSON"],
    ["bad UTF-8", fileOf("{}").fill(0xff, 8), "its header is no JSON"],
    ["a list as header", fileOf("[]"), "its header is no JSON object"],
    ["an entry that is no object", fileOf({ w: 1 }), `the header's entry of tensor "w" is no object`],
    [
      "an unknown dtype",
      fileOf({ w: { dtype: "F7", shape: [], data_offsets: [0, 0] } }),
      'tensor "w" has the unknown dtype "F7"; kofn knows F64, F32',
    ],
    ["no dtype", fileOf({ w: {} }), 'tensor "w" has no dtype'],
    [
      "a negative dimension",
      fileOf({ w: f32(0, 4, [-1]) }, 4),
      'the shape of tensor "w" is no list of whole numbers',
    ],
    [
      "a nested shape",
      fileOf(`{"w":{"dtype":"F32","data_offsets":[0,0],"shape":${"[".repeat(1e5)}${"]".repeat(1e5)}}}`),
      'the shape of tensor "w" is no list',
    ],
    [
      "no offsets",
      fileOf({ w: { dtype: "F32", shape: [] } }),
      'the data_offsets of tensor "w" are no [start, end]',
    ],
    [
      "offsets the wrong way",
      fileOf({ w: f32(4, 0, []) }, 4),
      'the data_offsets of tensor "w" are no [start, end]',
    ],
    [
      "a shape that does not fit",
      fileOf({ w: f32(0, 4, [2]) }, 4),
      'tensor "w" is float32[2], which takes 8 bytes, but it has 4',
    ],
    [
      "an endless shape",
      fileOf({ w: f32(0, 0, [...Array<number>(50).fill(2 ** 50), 0]) }),
      "which takes NaN bytes",
    ],
    [
      "an end beyond the data",
      fileOf({ w: f32(0, 8) }, 4),
      'tensor "w" should end at byte 8 of the data, which has 4 bytes',
    ],
    [
      "tensors that overlap",
      fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12),
      'tensor "b", at bytes 4 to 12 of the data, overlaps the tensor before it',
    ],
    [
      "a gap",
      fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12),
      'tensor "b", at bytes 8 to 12 of the data, leaves a gap of 4 bytes',
    ],
    [
      "data that no tensor has",
      fileOf({ a: f32(0, 4) }, 8),
      "its tensors end at byte 4 of the data, which has 8 bytes",
    ],
  ])("%s", (_, bytes, expected) => {
    expect(() => decodeSafetensors(bytes, "t.safetensors")).toThrow(InputError);
    expect(() => decodeSafetensors(bytes, "t.safetensors")).toThrow(
      "t.safetensors: expected a safetensors file, but ",
    );
    expect(() => decodeSafetensors(bytes, "t.safetensors")).toThrow(expected);
  });

  test("every truncation is refused, and every flipped bit is survived", () => {
    const intact = encodeSafetensors(example(), { by: "kofn" });
    for (let length = 0; length < intact.length; length++) {
      expect(() => decodeSafetensors(intact.slice(0, length), "t")).toThrow(InputError);
    }
    for (let bit = 0; bit < 8 * intact.length; bit++) {
      const bytes = intact.slice();
      bytes[bit >> 3] ^= 1 << (bit & 7);
      try {
        decodeSafetensors(bytes, "t");
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }
  });
});
