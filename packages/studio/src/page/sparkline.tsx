/** A series as a line that is no taller than text. */

const WIDTH = 72;
const HEIGHT = 18;

/** @param values from 0 to 1. */
export function Sparkline({ values }: { readonly values: readonly (number | null)[] }) {
  const x = (i: number): number =>
    values.length < 2 ? WIDTH / 2 : 1 + (i * (WIDTH - 2)) / (values.length - 1);
  const y = (value: number): number => 1 + (1 - Math.min(1, Math.max(0, value))) * (HEIGHT - 2);
  let path = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  return (
    <svg class="spark" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
