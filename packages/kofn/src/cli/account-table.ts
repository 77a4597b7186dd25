/** The accounting of a .kofn file as a table. */

import { bytes, whole } from "../figures.js";
import type { Account, Accounting, LayerAccount } from "../pack/accounting.js";
import { table } from "./terminal.js";

const PARTS = ["dense", "csr", "coo", "bitmap", "file", "limit"] as const;

/** A row for each layer, one for all other tensors, one for the file's own data, and the sum. */
export function accountTable({ layers, others, rest, total }: Accounting): string[] {
  const right = { align: "right" } as const;
  const columns = [
    { title: "layer" },
    { title: "values" },
    { title: "k of n", ...right },
    { title: "positions" },
    ...PARTS.map((title) => ({ title: TITLES[title], ...right })),
    { title: "file/limit", ...right },
  ];
  const cells = (account: Account): string[] => [
    ...PARTS.map((part) => bytes(account[part])),
    account.limit === 0 ? "" : (account.file / account.limit).toFixed(4),
  ];
  return table(columns, [
    ...layers.map((layer) => [layer.name, layer.format, kept(layer), layer.codec ?? "", ...cells(layer)]),
    ["biases and others", "", "", "", ...cells(others)],
    ["header, graph, info", "", "", "", ...PARTS.map((part) => (part === "file" ? bytes(rest) : "")), ""],
    ["total", "", "", "", ...cells(total)],
  ]);
}

const TITLES = {
  dense: "dense",
  csr: "CSR",
  coo: "COO",
  bitmap: "bitmap",
  file: "this file",
  limit: "limit",
};

function kept({ n, k }: LayerAccount): string {
  if (n === undefined || k === undefined) return "";
  const [least, most] = k;
  return `${least === most ? whole(most) : `${whole(least)}-${whole(most)}`} of ${whole(n)}`;
}
