/** The kinds of values that options take: what is expected, what files and the command line may write, and how it is written back. */

import { z } from "zod";
import { messageOf } from "../errors.js";
import { formatShare } from "../prune/spec.js";

/** A kind of values; in a config they are of type C. */
export interface Kind<C> {
  /** Checks a value and brings it to the form of a config. The messages of its issues begin with "expected". */
  readonly schema: z.ZodType<C>;
  /** What is expected of the library's options, where that is written in another way than in a config. */
  readonly inLibrary?: string;
  /** The option can be given several times. */
  readonly many?: true;
  /** What a text on the command line stands for; it is yet to be checked. */
  read(text: string): unknown;
  /** The texts that say a value on the command line, one for each time that the option is given; undefined if only a file can say it. */
  write(value: C): readonly string[] | undefined;
}

/** A kind whose values are written as they are. */
export function kind<C>(schema: z.ZodType<C>, others: Partial<Omit<Kind<C>, "schema">> = {}): Kind<C> {
  return { schema, read: (text) => text, write: (value) => [String(value)], ...others };
}

function number(expected: string, holds: (value: number) => boolean): Kind<number> {
  const schema = z.custom<number>((value) => isFinite(value) && holds(value), {
    error: `expected ${expected}`,
  });
  return kind(schema, { read: readNumber });
}

function isFinite(value: unknown): value is number {
  return Number.isFinite(value);
}

export function count(least: number): Kind<number> {
  return number(`a whole number of at least ${least}`, (x) => Number.isSafeInteger(x) && x >= least);
}

export const positive = number("a number above 0", (x) => x > 0);
export const notNegative = number("a number of at least 0", (x) => x >= 0);
export const below1 = number("a number of at least 0 and below 1", (x) => x >= 0 && x < 1);

/** A share of training: 0.3 or "30%". */
export const share: Kind<number> = kind(
  z.unknown().transform((value, context): number => {
    const found = readShare(value);
    if (typeof found === "number" && found >= 0 && found < 1) return found;
    const message = "expected a share of training, at least 0 % and below 100 %, such as 30%";
    context.issues.push({ code: "custom", message, input: value });
    return z.NEVER;
  }),
  {
    inLibrary: "a share of training, at least 0 and below 1",
    write: (value) => [readShare(formatShare(value)) === value ? formatShare(value) : String(value)],
  },
);

function readShare(value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (!value.endsWith("%")) return readNumber(value);
  const percent = readNumber(value.slice(0, -1));
  return typeof percent === "number" ? percent / 100 : undefined;
}

type Pair = readonly [number, number];

/** How a {@link pair} is written. */
interface PairForm {
  /** In configs: "A:B". */
  readonly form: string;
  /** In the library. Default "[A, B]". */
  readonly inLibrary?: string;
  /** One number stands for both. */
  readonly single?: boolean;
}

/** Two finite numbers, written [A, B] or "A:B". */
export function pair(
  { form, inLibrary = "[A, B]", single = false }: PairForm,
  expected: string,
  holds: (a: number, b: number) => boolean,
): Kind<Pair> {
  const schema = z.unknown().transform((value, context): Pair => {
    const parts: unknown[] = typeof value === "string" ? value.split(":").map(readNumber) : [value].flat();
    const [a, b] = single && parts.length === 1 ? [parts[0], parts[0]] : parts;
    const two = parts.length === 2 || (single && parts.length === 1);
    if (two && isFinite(a) && isFinite(b) && holds(a, b)) return [a, b];
    context.issues.push({ code: "custom", message: `expected ${form}, ${expected}`, input: value });
    return z.NEVER;
  });
  return kind(schema, {
    inLibrary: `${inLibrary}, ${expected}`,
    write: ([a, b]) => [single && a === b ? String(a) : `${a}:${b}`],
  });
}

export function text(expected: string): Kind<string> {
  const schema = z.custom<string>((value) => typeof value === "string" && value !== "", {
    error: `expected ${expected}`,
  });
  return kind(schema);
}

/** Text that `parse` can read. */
export function parsed(expected: string, parse: (value: string) => unknown): Kind<string> {
  const schema = z.string({ error: `expected ${expected}` }).superRefine((value, context) => {
    try {
      parse(value);
    } catch (error) {
      const message = messageOf(error)
        .replace(/^.*?: /, "")
        .replace(/\.$/, "");
      context.addIssue({ code: "custom", message });
    }
  });
  return kind(schema);
}

/** Texts, each for one use of the option. */
export function texts(expected: string, each: string): Kind<readonly string[]> {
  const schema = z.array(text(each).schema, { error: `expected ${expected}` });
  return kind<readonly string[]>(schema, { many: true, write: (value) => value });
}

export function oneOf<const Word extends string>(words: readonly Word[]): Kind<Word> {
  const expected = `expected ${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
  return kind(z.enum(words, { error: expected }));
}

/** True, or nothing. */
export const toggle: Kind<boolean> = kind(z.boolean({ error: "expected true or false" }));

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(",")}]`;
  return value === undefined ? "nothing" : JSON.stringify(value);
}

/** A number written in decimal, with or without an exponent; other text is given back as it is. */
export function readNumber(text: string): string | number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text;
}
