/** Numbers as people read them. */

/** 0.982 as "98.20 %". */
export function percent(fraction: number | null | undefined, digits = 2): string {
  return typeof fraction === "number" ? `${(100 * fraction).toFixed(digits)} %` : "–";
}

/** 0.982 as "98.2 %", 0.98 as "98 %": as short as it can be. */
export function percentAxis(fraction: number): string {
  return `${Number((100 * fraction).toFixed(2))} %`;
}

/** 12345 as "12,345". */
export function whole(value: number | null | undefined): string {
  return typeof value === "number" ? Math.round(value).toLocaleString("en-US") : "–";
}

/** Bytes as "831 B", "64.0 kB" or "1.7 MB". */
export function bytes(count: number | null | undefined): string {
  if (typeof count !== "number") return "–";
  if (count < 1000) return `${Math.round(count)} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** 16.637 as "16.6x". */
export function times(factor: number | null | undefined): string {
  return typeof factor === "number" ? `${factor.toFixed(1)}x` : "–";
}

/** Four significant digits. */
export function digits(value: number | null | undefined, count = 4): string {
  if (typeof value !== "number") return "–";
  return value === 0 ? "0" : String(Number(value.toPrecision(count)));
}

/** Three decimals, for values from 0 to 1. */
export function unit(value: number | null | undefined): string {
  return typeof value === "number" ? value.toFixed(3) : "–";
}

/** Seconds as "7 s", "12:30 min" or "2:03 h". */
export function duration(seconds: number | null | undefined): string {
  if (typeof seconds !== "number") return "–";
  const total = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)}:${two(total % 60)} min`;
  return `${Math.floor(total / 3600)}:${two(Math.floor(total / 60) % 60)} h`;
}

/** How long ago a time (milliseconds since 1970) was. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return seconds < 60 * 86400
    ? `${Math.floor(seconds / 86400)} d ago`
    : new Date(time).toISOString().slice(0, 10);
}
