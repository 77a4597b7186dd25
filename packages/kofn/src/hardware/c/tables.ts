/** Writes numbers as C: exact, in as few characters as that takes. */

const WIDTH = 120;

/** A float32 number as a constant that has its value exactly. */
export function floatLiteral(value: number): string {
  if (Object.is(value, -0)) return "-0.0f";
  for (let digits = 1; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) !== value) continue;
    const short = String(Number(text));
    return `${/[.e]/.test(short) ? short : `${short}.0`}f`;
  }
  throw new RangeError(`${value} is no finite float32 number`);
}

/** An integer as a constant: -2^31 has none of its own, as 2^31 is no int. */
export function intLiteral(value: number): string {
  return value === -(2 ** 31) ? "(-2147483647 - 1)" : String(value);
}

/** A static table. C has no tables without elements, so an empty one gets a 0. */
export function table(type: string, name: string, values: ArrayLike<number>): string {
  const literal = type === "float" ? floatLiteral : intLiteral;
  const lines = [`static const ${type} ${name}[${Math.max(1, values.length)}] = {`];
  let line = "   ";
  for (let i = 0; i < Math.max(1, values.length); i++) {
    const text = ` ${literal(values[i] ?? 0)},`;
    if (line.length + text.length > WIDTH) {
      lines.push(line);
      line = "   ";
    }
    line += text;
  }
  lines.push(line, "};");
  return lines.join("\n");
}
