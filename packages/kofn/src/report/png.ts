/** Small pictures as PNG (https://www.w3.org/TR/png-3/) in a data URI. */

import { deflateSync } from "node:zlib";
import { crc32 } from "@kofn/format/file/crc32.js";

/** Steps between transparent and opaque, apart from the first: a cell takes 4 bits. */
const STEPS = 15;

/**
 * A picture of one colour whose cells say how opaque it is, in 16 steps.
 *
 * @param cells [height, width], 0 (nothing) to 255 (opaque).
 * @param colour red, green and blue.
 *
 * @example
 * pngUri(2, 1, Uint8Array.of(0, 255), [0, 114, 178]); // data:image/png;base64,iVBORw0...
 */
export function pngUri(
  width: number,
  height: number,
  cells: Uint8Array,
  colour: readonly [number, number, number],
): string {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // 4 bits per cell, which index a palette (colour type 3); deflate, no interlacing.
  header.set([4, 3, 0, 0, 0], 8);
  // A row is a byte that says "no filter", and its cells, two in a byte, the left one in the high bits.
  const stride = 1 + Math.ceil(width / 2);
  const rows = Buffer.alloc(height * stride);
  for (let row = 0; row < height; row++) {
    for (let i = 0; i < width; i++) {
      const step = Math.round((STEPS * cells[row * width + i]) / 255);
      rows[row * stride + 1 + (i >> 1)] |= step << (i % 2 === 0 ? 4 : 0);
    }
  }
  const palette = Buffer.alloc(3 * (STEPS + 1));
  const alpha = Buffer.alloc(STEPS + 1);
  for (let step = 0; step <= STEPS; step++) {
    palette.set(colour, 3 * step);
    alpha[step] = (255 * step) / STEPS;
  }
  const file = Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("tRNS", alpha),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
  return `data:image/png;base64,${file.toString("base64")}`;
}

function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
