/** Codes symbols (bytes) with a range coder, by how often each of them occurs. */

import { FREQUENCIES } from "@kofn/format/file/fields.js";
import { ByteReader, ByteWriter } from "./bytes.js";
import { RangeDecoder, RangeEncoder } from "./range-coder.js";

const SYMBOLS = 256;

/** The table of frequencies, and the symbols range coded. */
export function encodeSymbols(symbols: Uint8Array): Uint8Array {
  const frequencies = frequenciesOf(symbols);
  const starts = startsOf(frequencies);
  const encoder = new RangeEncoder();
  for (const symbol of symbols) encoder.symbol(starts[symbol], frequencies[symbol]);
  const writer = new ByteWriter();
  writeTable(writer, frequencies);
  writer.bytes(encoder.finish());
  return writer.view();
}

/**
 * Undoes {@link encodeSymbols}.
 *
 * @param where opens the message of an error.
 * @throws InputError if the bytes are damaged.
 */
export function decodeSymbols(bytes: Uint8Array, count: number, where: string): Uint8Array {
  const reader = new ByteReader(bytes, where);
  const frequencies = readTable(reader);
  const starts = startsOf(frequencies);
  const symbolAt = new Uint8Array(FREQUENCIES);
  frequencies.forEach((frequency, symbol) =>
    symbolAt.fill(symbol, starts[symbol], starts[symbol] + frequency),
  );
  const decoder = new RangeDecoder(reader.bytes(reader.left));
  const symbols = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const symbol = symbolAt[decoder.place()];
    decoder.take(starts[symbol], frequencies[symbol]);
    symbols[i] = symbol;
  }
  if (decoder.left > 0) reader.fail(`${decoder.left} bytes are left over`);
  return symbols;
}

/** Frequencies that sum up to FREQUENCIES, at least 1 for each symbol that occurs. */
function frequenciesOf(symbols: Uint8Array): Uint32Array {
  const counts = new Uint32Array(SYMBOLS);
  for (const symbol of symbols) counts[symbol]++;
  const frequencies = counts.map((count) =>
    count === 0 ? 0 : Math.max(1, Math.round((count / symbols.length) * FREQUENCIES)),
  );
  let excess = frequencies.reduce((sum, frequency) => sum + frequency, 0) - FREQUENCIES;
  // What rounding has added is taken from the most frequent symbols, where it costs least.
  const byFrequency = Array.from(frequencies.keys()).sort((a, b) => frequencies[b] - frequencies[a] || a - b);
  for (let i = 0; excess !== 0; i = (i + 1) % SYMBOLS) {
    const symbol = byFrequency[i];
    const step = Math.sign(excess);
    if (frequencies[symbol] - step < 1) {
      i = SYMBOLS - 1;
      continue;
    }
    frequencies[symbol] -= step;
    excess -= step;
  }
  return frequencies;
}

function startsOf(frequencies: Uint32Array): Uint32Array {
  const starts = new Uint32Array(SYMBOLS);
  for (let symbol = 1; symbol < SYMBOLS; symbol++)
    starts[symbol] = starts[symbol - 1] + frequencies[symbol - 1];
  return starts;
}

function writeTable(writer: ByteWriter, frequencies: Uint32Array): void {
  let symbol = frequencies.findIndex((frequency) => frequency > 0);
  writer.uint(symbol);
  for (let sum = 0; sum < FREQUENCIES; symbol++) {
    writer.uint(frequencies[symbol]);
    sum += frequencies[symbol];
    if (frequencies[symbol] > 0) continue;
    let more = 0;
    while (frequencies[symbol + 1] === 0) [symbol, more] = [symbol + 1, more + 1];
    writer.uint(more);
  }
}

function readTable(reader: ByteReader): Uint32Array {
  const frequencies = new Uint32Array(SYMBOLS);
  let symbol = reader.uint();
  for (let sum = 0; sum < FREQUENCIES; symbol++) {
    const frequency = reader.uint();
    sum += frequency;
    if (symbol >= SYMBOLS || sum > FREQUENCIES) reader.fail("a table of frequencies that does not fit");
    frequencies[symbol] = frequency;
    if (frequency === 0) symbol += reader.uint();
  }
  return frequencies;
}
