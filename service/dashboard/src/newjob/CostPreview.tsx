import type { Validation } from "../api/types";
import { duration } from "../format/time";
import { href } from "../routing/place";

/** How large the space is and how long the search would take, as the service reckons. */
export function CostPreview({ validation, isChecking }: { validation: Validation | undefined; isChecking: boolean }) {
  return (
    <dl className="facts cost" data-testid="cost" data-valid={validation?.valid ?? false} aria-busy={isChecking}>
      <div>
        <dt>Policies in the space</dt>
        <dd className="number">{validation ? spaceSize(validation.space_size) : "–"}</dd>
      </div>
      <div>
        <dt>A trial takes</dt>
        <dd className="number">{time(validation, validation?.trial_s)}</dd>
      </div>
      {validation?.profile_s !== undefined && (
        <div>
          <dt>Its profile</dt>
          <dd className="number">{validation.profile_s === 0 ? "known already" : time(validation, validation.profile_s)}</dd>
        </div>
      )}
      {validation?.finalists_s != null && (
        <div>
          <dt>Finalists, at most</dt>
          <dd className="number">{duration(validation.finalists_s)}</dd>
        </div>
      )}
      <div>
        <dt>The job takes</dt>
        <dd className="number">
          {time(validation, validation?.expected_s)}
          {validation?.based_on != null && " "}
          {validation?.based_on != null && (
            <span className="beside">
              by <a href={href(["jobs", validation.based_on])}>an earlier job</a>
            </span>
          )}
        </dd>
      </div>
    </dl>
  );
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Digits become a power of ten, since nobody counts forty of them. */
export function spaceSize(digits: string | null): string {
  if (digits === null) return "known once a worker has read the model";
  if (digits.length <= 7) return Number(digits).toLocaleString("en");
  const power = String(digits.length - 1).replace(/\d/g, (digit) => RAISED[Number(digit)] ?? "");
  return `about ${digits[0]}.${digits[1]} × 10${power}`;
}

function time(validation: Validation | undefined, seconds: number | null | undefined): string {
  if (!validation) return "–";
  return seconds == null ? "not known before the first trial" : `about ${duration(seconds)}`;
}
