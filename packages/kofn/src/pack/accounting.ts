/** What a packed model takes, layer by layer, beside the usual ways to store a sparse matrix and the limit of them all. */

import { bytesOf } from "@kofn/format/file/bits.js";
import { unitMatrix } from "@kofn/format/file/units.js";
import { log2Choose } from "../metrics/size.js";
import { sizeOf } from "../onnx/tensor.js";
import { prunableLayers } from "../layers/layers.js";
import type { KofnContents, Packed, StoredTensor } from "./types.js";

/** Bytes of an index or a row pointer in CSR and COO. */
const INDEX_BYTES = 4;

/** Bytes, by how the weights of a layer are stored. Scales count in all but `dense`. */
export interface Account {
  /** All weights as float32. */
  readonly dense: number;
  /** Kept values in the bits of their format, a 32-bit column for each, and a 32-bit pointer for each row. */
  readonly csr: number;
  /** The values, and a 32-bit row and column for each. */
  readonly coo: number;
  /** The values, and a bit for each unit of the mask. */
  readonly bitmap: number;
  /** In this file. */
  readonly file: number;
  /** The values in their bits, and log2 C(n, k) bits for each group of the mask. */
  readonly limit: number;
}

/** A row of the accounting. */
export interface LayerAccount extends Account {
  readonly name: string;
  readonly format: string;
  /** How the positions are coded; absent for a dense layer. */
  readonly codec?: string;
  /** Units of a group, and how many of them are kept: the least and the most. */
  readonly n?: number;
  readonly k?: readonly [least: number, most: number];
  /** The positions alone, and their limit. */
  readonly positions: number;
  readonly positionsLimit: number;
}

export interface Accounting {
  readonly layers: readonly LayerAccount[];
  /** Biases and other float32 tensors that are no layer's weights. */
  readonly others: Account;
  /** Header, graph, info, and what aligns values. */
  readonly rest: number;
  readonly total: Account;
}

/**
 * Accounts for every byte of a .kofn file.
 *
 * @param fileBytes the length of the file.
 * @example
 * const { total } = accountOf(contents.model, packed.tensors, packed.bytes.length);
 * console.log(total.file / total.limit); // 1.005
 */
export function accountOf(
  { graph }: KofnContents["model"],
  tensors: Packed["tensors"],
  fileBytes: number,
): Accounting {
  const names = new Map(prunableLayers(graph).map(({ weight, name }) => [weight, name]));
  const layers = tensors.flatMap((tensor) => {
    const name = names.get(tensor.name);
    return name === undefined ? [] : [layerAccount(name, tensor)];
  });
  const others = sum(
    tensors.filter(({ name }) => !names.has(name)).map((tensor) => layerAccount("", tensor)),
  );
  const stored = sum([...layers, others]);
  return { layers, others, rest: fileBytes - stored.file, total: { ...stored, file: fileBytes } };
}

function layerAccount(name: string, { dims, format, bits, kept, mask, bytes }: StoredTensor): LayerAccount {
  const size = sizeOf(dims);
  const values = bytesOf(kept * bits) + bytes.scales;
  const dense = 4 * size;
  const file = values - bytesOf(kept * bits) + bytes.values + bytes.positions;
  const plain = { name, format, positions: 0, positionsLimit: 0, dense, file };
  if (mask === undefined) return { ...plain, csr: values, coo: values, bitmap: values, limit: values };
  const { counts, layout, codec } = mask;
  const rows = unitMatrix(layout, dims)?.rows ?? 0;
  const positionsLimit = bytesOf(counts.reduce((total, k) => total + log2Choose(layout.n, k), 0));
  return {
    ...plain,
    codec,
    n: layout.n,
    k: [counts.reduce((a, b) => Math.min(a, b)), counts.reduce((a, b) => Math.max(a, b))],
    positions: bytes.positions,
    positionsLimit,
    csr: values + INDEX_BYTES * (kept + rows + 1),
    coo: values + 2 * INDEX_BYTES * kept,
    bitmap: values + bytesOf(mask.units.length),
    limit: values + positionsLimit,
  };
}

const PARTS = ["dense", "csr", "coo", "bitmap", "file", "limit"] as const;

function sum(accounts: readonly Account[]): Account {
  const total = { dense: 0, csr: 0, coo: 0, bitmap: 0, file: 0, limit: 0 };
  for (const account of accounts) for (const part of PARTS) total[part] += account[part];
  return total;
}
