import { metricLabel, quantity, span } from "../format/metrics";
import { href } from "../routing/place";
import { isEmpty } from "./ranges";
import type { Selection } from "./selection";

interface Props {
  job: string;
  /** How many trials lie within the brushed ranges. */
  picked: number;
  selection: Selection;
}

/** What is brushed and what is marked, and what can be done with it. Always there, so that nothing moves. */
export function PickedBar({ job, picked, selection: { ranges, marked, brush, clear, mark } }: Props) {
  const numbers = [...marked];
  return (
    <div className="picked" role="status" data-testid="picked">
      <p>
        {isEmpty(ranges) ? (
          <span className="note">Drag over a chart, or use the filters, to pick trials out.</span>
        ) : (
          <>
            <strong>{picked}</strong> {picked === 1 ? "trial" : "trials"} with
          </>
        )}
      </p>
      {Object.entries(ranges).map(([metric, [low, high]]) => (
        <button
          key={metric}
          type="button"
          className="chip"
          onClick={() => brush({ [metric]: null })}
        >
          {metricLabel(metric)} {between(metric, low, high)} <Drop />
        </button>
      ))}
      {!isEmpty(ranges) && (
        <button type="button" className="link" onClick={clear}>
          Clear
        </button>
      )}
      <span className="marked">
        {numbers.map((number) => (
          <button
            key={number}
            type="button"
            className="chip"
            onClick={() => mark(number, false)}
          >
            #{number} <Drop />
          </button>
        ))}
        {numbers.length > 1 ? (
          <a className="button" href={href(["jobs", job, "compare"], new URLSearchParams({ trials: numbers.join(",") }))}>
            Compare {numbers.length}
          </a>
        ) : (
          <span className="note">Tick two trials of the table to compare them.</span>
        )}
      </span>
    </div>
  );
}

/** What pressing it does, for eyes and ears. */
function Drop() {
  return (
    <>
      <span aria-hidden="true">×</span>
      <span className="unseen">: drop it</span>
    </>
  );
}

const OPEN = 1e15;

function between(metric: string, low: number, high: number): string {
  if (low <= -OPEN) return `≤ ${quantity(metric, high)}`;
  if (high >= OPEN) return `≥ ${quantity(metric, low)}`;
  return span(metric, low, high);
}
