import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { joinChunks, Reader, Writer } from "../../src/onnx/protobuf.js";
import { message } from "./messages.js";

const TABLE = { one: 1, two: 2 };

const read = (bytes: ArrayLike<number>): Reader => {
  const reader = Reader.of(Uint8Array.from(bytes), "test.bin", TABLE);
  expect(reader.next()).toBe(true);
  return reader;
};
const readAll = (bytes: ArrayLike<number>) => () => {
  const reader = Reader.of(Uint8Array.from(bytes), "test.bin", TABLE);
  while (reader.next());
};

describe("wire values", () => {
  const EXTREMES = [
    0n,
    1n,
    -1n,
    127n,
    128n,
    2n ** 31n,
    -(2n ** 31n),
    2n ** 53n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ];

  test.each(EXTREMES)("int64 %s", (value) => {
    expect(
      read(
        message((w) => {
          w.integer(1, value);
        }),
      ).int64(),
    ).toBe(value);
  });

  test("int64, single and packed, of any value", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
        const single = message((w) => {
          for (const value of values) w.integer(1, value);
        });
        const packed = message((w) => {
          w.bytes(
            1,
            joinChunks(
              values.map((value) =>
                message((v) => {
                  v.integer(1, value);
                }).subarray(1),
              ),
            ),
          );
        });
        for (const bytes of [single, packed]) {
          const reader = Reader.of(bytes, "test.bin", TABLE);
          const found: bigint[] = [];
          while (reader.next()) reader.int64s(found);
          expect(found).toEqual(values);
        }
      }),
    );
  });

  test("numbers are written as bigints are", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = message((w) => {
          w.integer(1, value);
        });
        expect(bytes).toEqual(
          message((w) => {
            w.integer(1, BigInt(value));
          }),
        );
        expect(read(bytes).integer()).toBe(value);
      }),
    );
  });

  test("int32, negative ones in 10 bytes", () => {
    const bytes = message((w) => {
      w.integer(1, -2);
    });
    expect([...bytes]).toEqual([8, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    expect(read(bytes).int32()).toBe(-2);
  });

  test("floats, single and packed", () => {
    fc.assert(
      fc.property(fc.float32Array(), (values) => {
        const single = message((w) => {
          for (const value of values) w.float(1, value);
        });
        const packed = message((w) => {
          w.bytes(1, new Uint8Array(values.slice().buffer));
        });
        for (const bytes of [single, packed]) {
          const reader = Reader.of(bytes, "test.bin", TABLE);
          const found: number[] = [];
          while (reader.next()) reader.floats(found);
          expect(Float32Array.from(found)).toEqual(values);
        }
      }),
    );
  });

  test("text of any kind, a byte order mark included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        expect(
          read(
            message((w) => {
              w.text(1, value);
            }),
          ).text(),
        ).toBe(value);
      }),
    );
    expect(
      read(
        message((w) => {
          w.text(1, "\ufeffx");
        }),
      ).text(),
    ).toBe("\ufeffx");
  });

  test("values beyond int64 are refused", () => {
    expect(() =>
      message((w) => {
        w.integer(1, 2n ** 63n);
      }),
    ).toThrow("does not fit an int64 field");
  });
});

describe("damaged bytes", () => {
  test.each([
    ["a tag that is cut", [0x88], "a field's tag ends within a varint"],
    ["a varint that is cut", [8, 0x80], "field one ends within a varint; the file may be cut short"],
    [
      "a varint without end",
      [8, ...Array<number>(11).fill(0x80)],
      "field one has a varint of more than 10 bytes",
    ],
    ["field number 0", [0, 1], "a field number is out of range"],
    ["a field number beyond 32 bits", [0x88, 0x80, 0x80, 0x80, 0x80, 1, 0], "a field number is out of range"],
    ["a length beyond the end", [10, 5, 1], "field one takes 5 bytes where 1 are left"],
    [
      "a length of 2^63",
      [18, ...Array<number>(9).fill(0x80), 1, 1],
      "field two takes 9223372036854776000 bytes",
    ],
    ["a float that is cut", [0x0d, 1, 2], "field one takes 4 bytes where 2 are left"],
    ["a double that is cut", [0x39, 1, 2], "field number 7 takes 8 bytes where 2 are left"],
    ["a group", [0x0b, 0x0c], "field one has wire type 3, which does not occur in ONNX"],
  ])("%s", (_, bytes, expected) => {
    expect(readAll(bytes)).toThrow(InputError);
    expect(readAll(bytes)).toThrow(expected);
    expect(readAll(bytes)).toThrow(/^test\.bin: .*\(at byte 0\)$/);
  });

  test("the wrong wire type", () => {
    expect(() => read([8, 1]).bytes()).toThrow(
      "field one has wire type varint where length-delimited is expected (at byte 0)",
    );
    expect(() => read([10, 0]).int64()).toThrow("wire type length-delimited where varint is expected");
    expect(() => read([8, 1]).float()).toThrow("wire type varint where 32-bit is expected");
  });

  test("packed runs that end within a value", () => {
    expect(() => {
      read([10, 3, 0, 0, 0]).floats([]);
    }).toThrow("has 3 bytes, which is no multiple of 4");
    expect(() => {
      read([10, 1, 0x80, 1, 1]).int64s([]);
    }).toThrow("ends within a varint");
    expect(() => read([10, 1, 0x80, 1, 1]).varintRun()).toThrow("ends within a varint");
  });

  test("text that is no UTF-8", () => {
    expect(() => read([10, 1, 0xff]).text()).toThrow("should be text, but is not valid UTF-8");
  });

  test("an integer that a number can't hold", () => {
    const bytes = message((w) => {
      w.integer(1, 2n ** 60n);
    });
    expect(() => read(bytes).integer()).toThrow("has the absurd value 1152921504606846976");
  });

  test("the place of an inner message is named, with its index", () => {
    const bytes = message((w) => {
      w.integer(2, 1);
      w.message(1, (inner) => {
        inner.integer(1, 1);
      });
      w.message(1, (inner) => {
        inner.raw(new Uint8Array([0x12, 9]));
      });
    });
    const outer = Reader.of(bytes, "test.bin", TABLE);
    const all = (): void => {
      while (outer.next()) {
        if (outer.field !== TABLE.one) continue;
        const inner = outer.message(TABLE);
        while (inner.next());
      }
    };
    expect(all).toThrow(
      "field two takes 9 bytes where 0 are left; the file may be cut short (in one[1], at byte 8)",
    );
  });
});

describe("kept fields", () => {
  test("are a view where they lie together, else a copy in order", () => {
    const field = (number: number): Uint8Array =>
      message((w) => {
        w.integer(number, number);
      });
    const keepBeyond2 = (bytes: Uint8Array): Uint8Array | undefined => {
      const reader = Reader.of(bytes, "test.bin", TABLE);
      while (reader.next()) if (reader.field > 2) reader.keep();
      return reader.kept();
    };
    const together = joinChunks([field(1), field(3), field(4), field(2)]);
    const apart = joinChunks([field(3), field(1), field(4)]);
    expect(keepBeyond2(together)).toEqual(joinChunks([field(3), field(4)]));
    expect(keepBeyond2(together)?.buffer).toBe(together.buffer);
    expect(keepBeyond2(apart)).toEqual(joinChunks([field(3), field(4)]));
    expect(keepBeyond2(field(1))).toBeUndefined();
  });
});

describe("the writer", () => {
  test("does not copy large byte fields, however deep", () => {
    const large = new Uint8Array(100_000);
    const writer = new Writer();
    writer.integer(1, 7);
    writer.message(2, (outer) => {
      outer.message(2, (inner) => {
        inner.bytes(1, large);
      });
      outer.text(1, "after");
    });
    const chunks = writer.finish();
    expect(chunks.filter((chunk) => chunk === large)).toHaveLength(1);
    expect(chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(writer.length);
    expect(writer.length - large.length).toBeLessThan(30);
  });

  test("writes messages of any size and depth", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5000), { maxLength: 6 }), (sizes) => {
        const write = (depth: number) => (w: Writer) => {
          if (depth === sizes.length) return;
          w.bytes(1, new Uint8Array(sizes[depth]).fill(depth));
          w.message(2, write(depth + 1));
          w.integer(1, depth);
        };
        let reader = Reader.of(message(write(0)), "test.bin", TABLE);
        for (const [depth, size] of sizes.entries()) {
          expect(reader.next()).toBe(true);
          expect(reader.bytes()).toEqual(new Uint8Array(size).fill(depth));
          expect(reader.next()).toBe(true);
          const inner = reader.message(TABLE);
          expect(reader.next()).toBe(true);
          expect(reader.integer()).toBe(depth);
          expect(reader.next()).toBe(false);
          reader = inner;
        }
        expect(reader.next()).toBe(false);
      }),
    );
  });
});
