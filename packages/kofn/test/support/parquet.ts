/** Writes small parquet files with encoded images and labels: uncompressed, plain encoding, one row group. */

/** A thrift struct in the compact protocol: fields in the order of their numbers. */
type Thrift =
  number | bigint | string | Uint8Array | readonly Thrift[] | { readonly [field: number]: Thrift };

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}

const zigzag = (value: bigint): number[] => varint(value >= 0n ? 2n * value : -2n * value - 1n);

function typeOf(value: Thrift): number {
  if (typeof value === "number") return 5;
  if (typeof value === "bigint") return 6;
  if (typeof value === "string" || value instanceof Uint8Array) return 8;
  return Array.isArray(value) ? 9 : 12;
}

function encode(value: Thrift): number[] {
  if (typeof value === "number") return zigzag(BigInt(value));
  if (typeof value === "bigint") return zigzag(value);
  if (typeof value === "string") return encode(new TextEncoder().encode(value));
  if (value instanceof Uint8Array) return [...varint(BigInt(value.length)), ...value];
  if (Array.isArray(value)) {
    const items = value as readonly Thrift[];
    return [0xf0 | typeOf(items[0]), ...varint(BigInt(items.length)), ...items.flatMap(encode)];
  }
  let before = 0;
  const fields = Object.entries(value).flatMap(([number, field]) => {
    const header = ((Number(number) - before) << 4) | typeOf(field);
    before = Number(number);
    return [header, ...encode(field)];
  });
  return [...fields, 0];
}

const BYTE_ARRAY = 6;
const INT64 = 2;

function byteArrays(values: readonly Uint8Array[]): number[] {
  return values.flatMap((value) => [...new Uint8Array(Uint32Array.of(value.length).buffer), ...value]);
}

/**
 * @param images encoded images; in a group `image` with `bytes` and `path`.
 * @param metadata under "huggingface".
 */
export function parquetBytes(
  images: readonly Uint8Array[],
  labels: readonly number[],
  metadata?: string,
): Uint8Array {
  const count = images.length;
  const columns = [
    { path: ["image", "bytes"], type: BYTE_ARRAY, data: byteArrays(images) },
    {
      path: ["image", "path"],
      type: BYTE_ARRAY,
      data: byteArrays(images.map((_, i) => Buffer.from(`${i}.png`))),
    },
    { path: ["label"], type: INT64, data: [...new Uint8Array(BigInt64Array.from(labels, BigInt).buffer)] },
  ];
  const file: number[] = [...Buffer.from("PAR1")];
  const chunks = columns.map(({ path, type, data }) => {
    const offset = file.length;
    file.push(
      ...encode({ 1: 0, 2: data.length, 3: data.length, 5: { 1: count, 2: 0, 3: 3, 4: 3 } }),
      ...data,
    );
    const size = BigInt(file.length - offset);
    const column = { 1: type, 2: [0], 3: path, 4: 0, 5: BigInt(count), 6: size, 7: size, 9: BigInt(offset) };
    return { 2: BigInt(offset), 3: column };
  });
  const footer = encode({
    1: 1,
    2: [
      { 4: "root", 5: 2 },
      { 3: 0, 4: "image", 5: 2 },
      { 1: BYTE_ARRAY, 3: 0, 4: "bytes" },
      { 1: BYTE_ARRAY, 3: 0, 4: "path", 6: 0 },
      { 1: INT64, 3: 0, 4: "label" },
    ],
    3: BigInt(count),
    4: [{ 1: chunks, 2: BigInt(file.length), 3: BigInt(count) }],
    ...(metadata === undefined ? {} : { 5: [{ 1: "huggingface", 2: metadata }] }),
  });
  return Uint8Array.from([
    ...file,
    ...footer,
    ...new Uint8Array(Uint32Array.of(footer.length).buffer),
    ...Buffer.from("PAR1"),
  ]);
}
