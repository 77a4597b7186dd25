import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";
import { Tensor as OrtTensor } from "onnxruntime-node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { decodeModel, encodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import { byteLength, DATA_TYPES, type DataType, type HostType } from "../../src/onnx/dtype.js";
import { type Attribute, emptyGraph, type Graph, type Model, type ValueType } from "../../src/onnx/model.js";
import { joinChunks, type Writer } from "../../src/onnx/protobuf.js";
import {
  ATTRIBUTE,
  DIMENSION,
  GRAPH,
  MODEL,
  NODE,
  SHAPE,
  STRING_ENTRY,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from "../../src/onnx/schema.js";
import { sizeOf, Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { validate } from "../../src/onnx/validate.js";
import { message, modelOf, modelOfTensor, node, OTHER_ATTRIBUTES, run, smallModel } from "./messages.js";

const decode = (bytes: Uint8Array): Model => decodeModel(bytes, "test.onnx");

const onlyTensor = (bytes: Uint8Array): Tensor => {
  const tensor = decode(bytes).graph.initializers.get("t");
  if (tensor === undefined) throw new Error("the model has no initializer t");
  return tensor;
};

/** A model with nothing but what `write` puts into its graph. */
const modelOfGraph = (write: (graph: Writer) => void): Uint8Array =>
  message((model) => {
    model.message(MODEL.graph, write);
  });

describe("round trip", () => {
  test("of a model with every kind of content", () => {
    const model = smallModel();
    model.graph.nodes.push(node("Other", [""], ["", "o"], OTHER_ATTRIBUTES));
    model.graph.nodes.push({ ...node("Custom", [], ["p"]), domain: "test", name: "named" });
    const bytes = encodeModelBytes(model);
    expect(decode(bytes)).toEqual(model);
    expect(encodeModelBytes(decode(bytes))).toEqual(bytes);
  });

  test("onnxruntime runs what is encoded", async () => {
    const bytes = encodeModelBytes(smallModel());
    const feeds = {
      x: new OrtTensor("float32", [1, 1], [1, 2]),
      double: new OrtTensor("bool", [1], []),
    };
    const { y, z } = await run(bytes, feeds);
    expect(y.data).toEqual(Float32Array.from([3.5, 7, 0]));
    expect(z.data).toEqual(Float32Array.from([7, 14, 0]));
  });

  test("of random models", () => {
    fc.assert(
      fc.property(randomModel, (model) => {
        const bytes = encodeModelBytes(model);
        const again = decode(bytes);
        expect(again).toEqual(model);
        expect(encodeModelBytes(again)).toEqual(bytes);
      }),
      { numRuns: 200 },
    );
  });

  test("the chunks are the bytes", () => {
    const model = smallModel();
    expect(joinChunks(encodeModel(model))).toEqual(encodeModelBytes(model));
  });
});

const name = fc.string({ unit: "binary", maxLength: 5 });
const dim = fc.oneof(
  fc.nat(10),
  fc.constant(undefined),
  fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
);
const dtypes = Object.keys(DATA_TYPES).filter((dtype) => dtype !== "string") as DataType[];
const tensor = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 4 }))
  .chain(([dtype, dims]) => {
    const length = byteLength(dtype, sizeOf(dims));
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => new Tensor(dtype, dims, Uint8Array.from(bytes)));
  });
const valueType: fc.Arbitrary<ValueType> = fc.record({
  dtype: fc.constantFrom(...dtypes),
  shape: fc.option(fc.array(dim, { maxLength: 4 }), { nil: undefined }),
});
const valueInfo = fc.record({ name, type: fc.option(valueType, { nil: undefined }) });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const float32 = fc.float({ noNaN: true });
const someBytes = fc.uint8Array({ maxLength: 6 }).map((bytes) => Uint8Array.from(bytes));
const { graph: randomGraph } = fc.letrec<{ graph: Graph; attribute: Attribute }>((tie) => ({
  attribute: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.record({ kind: fc.constant("int" as const), value: int64 }),
    fc.record({ kind: fc.constant("float" as const), value: float32 }),
    fc.record({ kind: fc.constant("string" as const), value: someBytes }),
    fc.record({ kind: fc.constant("tensor" as const), value: tensor }),
    fc.record({ kind: fc.constant("floats" as const), value: fc.array(float32) }),
    fc.record({ kind: fc.constant("ints" as const), value: fc.array(int64) }),
    fc.record({ kind: fc.constant("strings" as const), value: fc.array(someBytes) }),
    fc.record({ kind: fc.constant("graph" as const), value: tie("graph") }),
  ),
  graph: fc.record({
    name,
    inputs: fc.array(valueInfo, { maxLength: 3 }),
    outputs: fc.array(valueInfo, { maxLength: 3 }),
    nodes: fc.array(
      fc.record({
        op: name,
        domain: name,
        name,
        inputs: fc.array(name, { maxLength: 3 }),
        outputs: fc.array(name, { maxLength: 3 }),
        attributes: fc.array(fc.tuple(name, tie("attribute")), { maxLength: 3 }).map((all) => new Map(all)),
      }),
      { maxLength: 3 },
    ),
    initializers: fc.array(fc.tuple(name, tensor), { maxLength: 3 }).map((all) => new Map(all)),
    // Names of their own: what the graph states elsewhere is left out.
    valueTypes: fc
      .array(fc.tuple(name, valueType), { maxLength: 3 })
      .map((all) => new Map(all.map(([name, type]) => [`inner ${name}`, type]))),
  }),
}));
const randomModel: fc.Arbitrary<Model> = fc.record({
  irVersion: fc.nat(),
  producerName: name,
  producerVersion: name,
  opsets: fc.array(fc.tuple(name, fc.nat()), { maxLength: 3 }).map((all) => new Map(all)),
  graph: randomGraph,
  metadata: fc.array(fc.tuple(name, name), { maxLength: 3 }).map((all) => new Map(all)),
});

describe("memory", () => {
  const model = modelOf({
    ...emptyGraph("g"),
    initializers: new Map([["w", tensorFrom("float32", [5000], new Float32Array(5000).fill(1))]]),
  });

  test("weights are views of the file", () => {
    const bytes = encodeModelBytes(model);
    expect(decode(bytes).graph.initializers.get("w")?.bytes.buffer).toBe(bytes.buffer);
  });

  test("weights are not copied when they are written", () => {
    const weight = model.graph.initializers.get("w");
    expect(encodeModel(model)).toContain(weight?.bytes);
  });

  test("views of a Buffer at an odd offset are read rightly", () => {
    const shifted = Buffer.concat([Buffer.from([0]), encodeModelBytes(model)]).subarray(1);
    expect(decode(shifted).graph.initializers.get("w")?.array().slice(0, 2)).toEqual(
      Float32Array.from([1, 1]),
    );
  });
});

describe("what kofn does not read is kept", () => {
  const unknown = (number: number): Uint8Array =>
    message((w) => {
      w.text(number, `kept ${number}`);
      w.integer(number + 1, number);
    });

  test("in every message", () => {
    const type = (w: Writer): void => {
      w.message(TYPE.tensor_type, (tensor) => {
        tensor.integer(TENSOR_TYPE.elem_type, 1);
        tensor.message(TENSOR_TYPE.shape, (shape) => {
          shape.message(SHAPE.dim, (dim) => {
            dim.integer(DIMENSION.dim_value, 3);
            dim.raw(unknown(103));
          });
        });
      });
      w.raw(unknown(104));
    };
    const file = message((model) => {
      model.integer(MODEL.ir_version, 8);
      model.raw(unknown(100));
      model.message(MODEL.graph, (graph) => {
        graph.raw(unknown(101));
        for (const field of [GRAPH.input, GRAPH.output, GRAPH.value_info]) {
          graph.message(field, (info) => {
            info.raw(unknown(102));
            info.text(VALUE_INFO.name, `v${field}`);
            info.message(VALUE_INFO.type, type);
          });
        }
        graph.message(GRAPH.initializer, (tensor) => {
          tensor.raw(unknown(105));
          tensor.text(TENSOR.name, "t");
          tensor.integer(TENSOR.data_type, 1);
          tensor.float(TENSOR.float_data, 1);
        });
        graph.message(GRAPH.node, (node) => {
          node.raw(unknown(106));
          node.text(NODE.op_type, "Op");
          node.message(NODE.attribute, (attribute) => {
            attribute.raw(unknown(107));
            attribute.text(ATTRIBUTE.name, "a");
            attribute.integer(ATTRIBUTE.i, 1);
          });
          node.message(NODE.attribute, (attribute) => {
            attribute.text(ATTRIBUTE.name, "t");
            attribute.message(ATTRIBUTE.t, (tensor) => {
              tensor.integer(TENSOR.data_type, 1);
              tensor.float(TENSOR.float_data, 1);
              tensor.text(TENSOR.name, "kept 108");
            });
          });
        });
      });
    });
    const once = encodeModelBytes(decode(file));
    expect(decode(once)).toEqual(decode(file));
    for (let number = 100; number <= 107; number++) {
      const expected = Buffer.from(file).toString("latin1").split(`kept ${number}`).length;
      expect(Buffer.from(once).toString("latin1").split(`kept ${number}`), `field ${number}`).toHaveLength(
        expected,
      );
    }
    expect(Buffer.from(once).toString("latin1")).toContain("kept 108");
    expect(once.length).toBeGreaterThanOrEqual(file.length);
  });

  test("a type's denotation goes when its shape changes", () => {
    const file = modelOfGraph((graph) => {
      graph.message(GRAPH.input, (info) => {
        info.text(VALUE_INFO.name, "x");
        info.message(VALUE_INFO.type, (type) => {
          type.raw(unknown(104));
          type.message(TYPE.tensor_type, (tensor) => {
            tensor.integer(TENSOR_TYPE.elem_type, 1);
          });
        });
      });
    });
    const model = decode(file);
    const [input] = model.graph.inputs;
    if (input.type !== undefined) input.type = { ...input.type, shape: [7] };
    expect(decode(encodeModelBytes(model)).graph.inputs).toEqual([
      { name: "x", type: { dtype: "float32", shape: [7] } },
    ]);
  });

  test("what is said about a value without its type, which onnxruntime ignores", async () => {
    const model = smallModel();
    const file = joinChunks([
      encodeModelBytes(model),
      message((w) => {
        w.integer(500, 1);
      }),
    ]);
    const info = { name: "h", type: undefined, unknown: unknown(100) };
    const gone = { name: "gone", type: undefined, unknown: unknown(100) };
    model.graph.valueTypes.clear();
    model.graph.otherValues = new Map([
      ["h", info],
      ["gone", gone],
    ]);
    const bytes = encodeModelBytes(model);
    expect(decode(bytes)).toEqual(model);
    const feeds = { x: new OrtTensor("float32", [1, 1], [1, 2]), double: new OrtTensor("bool", [1], []) };
    expect((await run(bytes, feeds)).y.data).toEqual((await run(file, feeds)).y.data);
  });

  test("types that are no tensor's, until the value gets one", () => {
    const file = modelOfGraph((graph) => {
      for (const field of [GRAPH.output, GRAPH.value_info]) {
        graph.message(field, (info) => {
          info.text(VALUE_INFO.name, `v${field}`);
          info.message(VALUE_INFO.type, (type) => {
            type.message(4, () => undefined);
          });
        });
      }
    });
    const model = decode(file);
    expect(model.graph.outputs[0].type).toBeUndefined();
    expect(decode(encodeModelBytes(model))).toEqual(model);
    const type = { dtype: "float32", shape: [] } as const;
    model.graph.outputs[0].type = type;
    model.graph.valueTypes.set("v13", type);
    const again = decode(encodeModelBytes(model)).graph;
    expect(again.outputs).toEqual([{ name: "v12", type }]);
    expect(again.valueTypes).toEqual(new Map([["v13", type]]));
    expect(again.otherValues).toBeUndefined();
  });

  test("attributes that refer to a function's, or hold types or sparse tensors", () => {
    const reference = message((attribute) => {
      attribute.text(ATTRIBUTE.name, "a");
      attribute.integer(ATTRIBUTE.type, 2);
      attribute.text(ATTRIBUTE.ref_attr_name, "outer");
    });
    const file = modelOfGraph((graph) => {
      graph.message(GRAPH.node, (node) => {
        node.bytes(NODE.attribute, reference);
      });
    });
    const { attributes } = decode(file).graph.nodes[0];
    expect(attributes).toEqual(new Map([["a", { kind: "opaque", value: reference }]]));
    expect(encodeModelBytes(decode(file)).subarray(2)).toEqual(file);
  });
});

describe("tensors that store their elements in typed fields", () => {
  const CASES: [HostType, number, (number | bigint)[]][] = [
    ["float32", TENSOR.float_data, [1.5, -2]],
    ["int32", TENSOR.int32_data, [5, -5]],
    ["int16", TENSOR.int32_data, [5, -5]],
    ["int8", TENSOR.int32_data, [5, -5]],
    ["uint8", TENSOR.int32_data, [5, 250]],
    ["uint16", TENSOR.int32_data, [5, 65_000]],
    ["bool", TENSOR.int32_data, [1, 0]],
    ["int64", TENSOR.int64_data, [2n ** 63n - 1n, -(2n ** 63n)]],
    ["uint32", TENSOR.uint64_data, [5, 4_000_000_000]],
    ["uint64", TENSOR.uint64_data, [5n, 2n ** 62n]],
    ["float64", TENSOR.double_data, [1.5, -2]],
  ];
  const proto =
    (dtype: HostType, field: number, values: (number | bigint)[], packed: boolean) => (w: Writer) => {
      w.integer(TENSOR.dims, values.length);
      w.integer(TENSOR.data_type, DATA_TYPES[dtype].code);
      const fields = values.map((value) =>
        message((v) => {
          if (field === TENSOR.float_data) v.float(field, Number(value));
          else if (field === TENSOR.double_data) {
            v.raw(new Uint8Array([field * 8 + 1]));
            v.raw(new Uint8Array(Float64Array.of(Number(value)).buffer));
          } else v.integer(field, value);
        }),
      );
      if (packed) w.bytes(field, joinChunks(fields.map((bytes) => bytes.subarray(1))));
      else for (const bytes of fields) w.raw(bytes);
    };

  describe.each(CASES)("%s", (dtype, field, values) => {
    test.each([true, false])("packed: %s", async (packed) => {
      const file = modelOfTensor(proto(dtype, field, values, packed));
      expect([...(onlyTensor(file).array() as Iterable<unknown>)]).toEqual(values);
      const before = (await run(file)).out;
      const after = (await run(encodeModelBytes(decode(file)))).out;
      expect(after.type).toBe(dtype);
      expect(after.data).toEqual(before.data);
    });
  });

  test("a packed run of floats is not copied", () => {
    const file = modelOfTensor(proto("float32", TENSOR.float_data, [1, 2], true));
    expect(onlyTensor(file).bytes.buffer).toBe(file.buffer);
  });

  test("two 4-bit elements a byte", () => {
    const file = modelOfTensor((w) => {
      w.integer(TENSOR.dims, 3);
      w.integer(TENSOR.data_type, DATA_TYPES.int4.code);
      w.bytes(TENSOR.int32_data, new Uint8Array([0x21, 0x03]));
    });
    expect([...onlyTensor(file).bytes]).toEqual([0x21, 0x03]);
  });

  test("strings are kept", async () => {
    const file = modelOfTensor((w) => {
      w.integer(TENSOR.dims, 2);
      w.integer(TENSOR.data_type, DATA_TYPES.string.code);
      w.text(TENSOR.string_data, "one");
      w.text(TENSOR.string_data, "");
    });
    const again = encodeModelBytes(decode(file));
    expect((await run(again)).out.data).toEqual(["one", ""]);
    expect(decode(again)).toEqual(decode(file));
  });

  test("one without elements needs no field", () => {
    const file = modelOfTensor((w) => {
      w.integer(TENSOR.dims, 0);
      w.integer(TENSOR.data_type, 1);
    });
    expect(onlyTensor(file)).toEqual(tensorFrom("float32", [0], []));
  });
});

describe("not an ONNX model", () => {
  test.each([
    ["nothing", new Uint8Array(), "found an empty file"],
    ["text", Buffer.from('{"a": 1}'), 'found text, which starts with "{\\"a\\": 1}"'],
    ["gzip", gzipSync("x"), "found gzipped data"],
    ["zip", Buffer.from("PK\x03\x04............"), "found a zip archive"],
    ["HDF5", Buffer.from("\x89HDF\r\n\x1a\n", "latin1"), "found an HDF5 file"],
    ["TensorFlow Lite", Buffer.from("\x1c\0\0\0TFL3\0\0", "latin1"), "found a TensorFlow Lite model"],
    ["Git LFS", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), "found a Git LFS pointer"],
    [
      "a model without graph",
      message((w) => {
        w.integer(1, 8);
      }),
      "there is no graph in its 2 bytes",
    ],
  ])("%s", (_, bytes, expected) => {
    expect(() => decode(bytes)).toThrow(InputError);
    expect(() => decode(bytes)).toThrow("test.onnx: expected an ONNX model");
    expect(() => decode(bytes)).toThrow(expected);
  });
});

describe("damaged models", () => {
  const floats = (dims: (number | bigint)[], bytes: number) => (w: Writer) => {
    for (const dim of dims) w.integer(TENSOR.dims, dim);
    w.integer(TENSOR.data_type, 1);
    w.bytes(TENSOR.raw_data, new Uint8Array(bytes));
  };

  test.each<[string, (w: Writer) => void, string]>([
    [
      "too few bytes",
      floats([2, 3], 20),
      'initializer "t" is float32[2, 3] and should have 24 bytes of data, but has 20',
    ],
    ["too many bytes", floats([], 8), "should have 4 bytes of data, but has 8"],
    ["a negative dimension", floats([-3], 12), 'initializer "t" has the negative dimension -3'],
    ["a huge dimension", floats([2n ** 62n], 0), "field dims has the absurd value 4611686018427387904"],
    [
      "a huge product",
      floats([2 ** 40, 2 ** 40], 0),
      "has the absurd shape float32[1099511627776, 1099511627776]",
    ],
    [
      "a large shape without data",
      floats([2 ** 40], 0),
      "should have 4398046511104 bytes of data, but has 0",
    ],
    [
      "an endless product times 0",
      floats([...Array<number>(40).fill(2 ** 50), 0], 0),
      "has the absurd shape",
    ],
    [
      "an unknown element type",
      (w) => {
        w.integer(TENSOR.data_type, 99);
      },
      "has the element type 99, which kofn does not know",
    ],
    [
      "no element type",
      (w) => {
        w.integer(TENSOR.dims, 0);
      },
      "has the element type 0, which kofn does not know",
    ],
    [
      "elements in two fields",
      (w) => {
        floats([1], 4)(w);
        w.float(TENSOR.float_data, 1);
      },
      "stores its elements in two fields",
    ],
    [
      "elements in a field of another type",
      (w) => {
        w.integer(TENSOR.data_type, 1);
        w.integer(TENSOR.int64_data, 1);
      },
      'initializer "t" (float32[]) stores its elements in a field of another type',
    ],
    [
      "too few strings",
      (w) => {
        w.integer(TENSOR.dims, 3);
        w.integer(TENSOR.data_type, 8);
        w.text(TENSOR.string_data, "one");
      },
      'initializer "t" is string[3] and should have 3 strings, but has 1',
    ],
    [
      "elements in another file",
      (w) => {
        w.integer(TENSOR.data_type, 1);
        w.integer(TENSOR.data_location, 1);
        w.message(TENSOR.external_data, (entry) => {
          entry.text(STRING_ENTRY.key, "location");
          entry.text(STRING_ENTRY.value, "w.bin");
        });
      },
      'initializer "t" stores its elements in the file "w.bin" beside the model',
    ],
  ])("a tensor with %s", (_, write, expected) => {
    const bytes = modelOfTensor(write);
    expect(() => decode(bytes)).toThrow(InputError);
    expect(() => decode(bytes)).toThrow(expected);
    expect(() => decode(bytes)).toThrow(/\(in graph\.initializer, at byte \d+\)$/);
  });

  const withAttribute = (write: (attribute: Writer) => void): Uint8Array =>
    modelOfGraph((graph) => {
      graph.message(GRAPH.node, (node) => {
        node.message(NODE.attribute, (attribute) => {
          attribute.text(ATTRIBUTE.name, "a");
          write(attribute);
        });
      });
    });

  test.each<[string, Uint8Array, string]>([
    [
      "an attribute of an unknown type",
      withAttribute((w) => {
        w.integer(ATTRIBUTE.type, 77);
      }),
      'attribute "a" has the unknown type 77',
    ],
    ["an attribute with nothing", withAttribute(() => undefined), 'attribute "a" has neither type nor value'],
    [
      "a tensor attribute without",
      withAttribute((w) => {
        w.integer(ATTRIBUTE.type, 4);
      }),
      'attribute "a" should be a tensor, but has none',
    ],
    [
      "two graphs",
      message((w) => {
        w.message(MODEL.graph, () => undefined);
        w.message(MODEL.graph, () => undefined);
      }),
      "the model has two graphs where one is expected",
    ],
    [
      "two versions of an operator set",
      message((w) => {
        w.message(MODEL.opset_import, (opset) => {
          opset.integer(2, 13);
        });
        w.message(MODEL.opset_import, (opset) => {
          opset.text(1, "ai.onnx");
          opset.integer(2, 14);
        });
      }),
      'the operator set "" is imported in two versions, 13 and 14',
    ],
    [
      "a value of an unknown element type",
      modelOfGraph((graph) => {
        graph.message(GRAPH.input, (info) => {
          info.message(VALUE_INFO.type, (type) => {
            type.message(TYPE.tensor_type, (tensor) => {
              tensor.integer(TENSOR_TYPE.elem_type, 42);
            });
          });
        });
      }),
      "a value has the element type 42, which kofn does not know (it knows 1 to 26) (in graph.input.type.tensor_type, at byte",
    ],
    [
      "a node with the same attribute twice",
      modelOfGraph((graph) => {
        graph.message(GRAPH.node, (node) => {
          for (let i = 0; i < 2; i++)
            node.message(NODE.attribute, (w) => {
              w.text(ATTRIBUTE.name, "a");
              w.integer(ATTRIBUTE.i, 1);
            });
        });
      }),
      'a node has two attributes "a"',
    ],
    [
      "two initializers of one name",
      modelOfGraph((graph) => {
        for (let i = 0; i < 2; i++)
          graph.message(GRAPH.initializer, (tensor) => {
            tensor.text(TENSOR.name, "w");
            floats([], 4)(tensor);
          });
      }),
      'there are two initializers "w" (in graph, at byte',
    ],
  ])("%s", (_, bytes, expected) => {
    expect(() => decode(bytes)).toThrow(InputError);
    expect(() => decode(bytes)).toThrow(expected);
  });

  test("subgraphs nested without end", () => {
    let bytes: Uint8Array = new Uint8Array();
    for (let depth = 0; depth < 2000; depth++) {
      const inner = bytes;
      bytes = message((graph) => {
        graph.message(GRAPH.node, (node) => {
          node.message(NODE.attribute, (attribute) => {
            attribute.bytes(ATTRIBUTE.g, inner);
          });
        });
      });
    }
    expect(() =>
      decode(
        message((model) => {
          model.bytes(MODEL.graph, bytes);
        }),
      ),
    ).toThrow("messages are nested more than 100 deep");
  });

  test("a file that would fill the memory with empty nodes", () => {
    const nodes = new Uint8Array(3_000_000);
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = 0x0a;
    expect(() =>
      decode(
        message((model) => {
          model.bytes(MODEL.graph, nodes);
        }),
      ),
    ).toThrow(/takes more than 512 MB of memory.*\(in graph\.node\[\d+\], at byte \d+\)$/);
  });
});

describe("any damage is an InputError or gives a model", () => {
  const model = smallModel();
  model.graph.nodes.push(node("Other", ["x"], ["o"], OTHER_ATTRIBUTES));
  const intact = encodeModelBytes(model);

  const survives = (bytes: Uint8Array): "decoded" | "refused" => {
    let found: Model;
    try {
      found = decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      return "refused";
    }
    expect(isDeepStrictEqual(decode(encodeModelBytes(found)), found)).toBe(true);
    try {
      validate(found);
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
    return "decoded";
  };

  test("every truncation", () => {
    let refused = 0;
    for (let length = 0; length < intact.length; length++) {
      if (survives(intact.slice(0, length)) === "refused") refused++;
    }
    expect(refused).toBeGreaterThan(0.8 * intact.length);
  });

  test("every flipped bit, and every byte set to 255", () => {
    const seen = new Set<string>();
    for (let at = 0; at < intact.length; at++) {
      const others = [0xff, ...Array.from({ length: 8 }, (_, bit) => intact[at] ^ (1 << bit))];
      for (const byte of others) {
        const bytes = intact.slice();
        bytes[at] = byte;
        seen.add(survives(bytes));
      }
    }
    expect(seen).toEqual(new Set(["decoded", "refused"]));
  });

  test("random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        survives(bytes);
        survives(
          message((w) => {
            w.bytes(MODEL.graph, bytes);
          }),
        );
      }),
      { numRuns: 500 },
    );
  });
});
