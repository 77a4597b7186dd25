/** Numbers as text, the same in the terminal and in report.html. */

/** 12345 as "12,345". */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A fraction as "98.20 %". */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

/** Bytes as "831 B", "64.0 kB" or "1.7 MB". */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** Seconds as "0:07", "12:30" or "2:03:00". */
export function clock(seconds: number): string {
  const total = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const tail = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** A ratio as "16.6x". */
export function times(ratio: number): string {
  return `${ratio.toFixed(1)}x`;
}

/** A ratio to three digits, as "5.21x". */
export function ratio(value: number): string {
  return `${threeDigits(value)}x`;
}

/** Milliseconds as "4.86 µs", "12.1 ms" or "1.81 s". */
export function duration(ms: number): string {
  if (ms < 0.9995) return `${threeDigits(1e3 * ms)} µs`;
  return ms < 999.5 ? `${threeDigits(ms)} ms` : `${threeDigits(ms / 1e3)} s`;
}

/** Without an exponent. */
function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
