import type { HypervolumePoint } from "../api/types";
import { significant } from "../format/numbers";

const WIDTH = 120;
const HEIGHT = 24;

/** How the hypervolume grew from trial to trial, as a line beside its number. */
export function HypervolumeTrace({ items }: { items: HypervolumePoint[] }) {
  const first = items[0];
  const last = items.at(-1);
  if (!first || !last || items.length < 2) return null;

  const top = Math.max(...items.map(({ hypervolume }) => hypervolume)) || 1;
  const span = last.elapsed_s - first.elapsed_s || 1;
  const x = (point: HypervolumePoint) => 1 + ((point.elapsed_s - first.elapsed_s) / span) * (WIDTH - 2);
  const y = (point: HypervolumePoint) => HEIGHT - 2 - (point.hypervolume / top) * (HEIGHT - 4);
  // It stays as it is until the next trial ends: steps, no slopes.
  const path = items.map((point, index) => (index === 0 ? `M${x(point)},${y(point)}` : `H${x(point)}V${y(point)}`));

  const [from, to] = [first, last].map(({ hypervolume }) => significant(hypervolume));
  const growth = `grew from ${from} to ${to} over ${items.length} trials`;

  return (
    <svg className="trace" width={WIDTH} height={HEIGHT} role="img" aria-label={growth}>
      <path d={path.join("")} />
    </svg>
  );
}
