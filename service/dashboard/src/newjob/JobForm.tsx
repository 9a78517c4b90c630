import { type FormEvent, useEffect, useState } from "react";
import { jobChoices, jobFieldHelp, type OpenApi, useOpenApi } from "../api/openapi";
import { Problem } from "../api/problem";
import { useSubmit, useValidation } from "../api/queries";
import type { JobIn, Target, Workload } from "../api/types";
import { metricTitle } from "../format/metrics";
import { ProblemNotice } from "../parts/Notice";
import { href } from "../routing/place";
import { ConstraintFields } from "./ConstraintFields";
import { CostPreview } from "./CostPreview";
import { bodyOf, type Draft, faultsAt } from "./draft";
import { Field, FieldGroup } from "./Field";
import { SpaceFields } from "./SpaceFields";

interface Props {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  workloads: Workload[];
  targets: Target[];
}

const QUIET_MS = 350;

/** Everything that a job says, checked by the service while it is typed. */
export function JobForm({ draft, setDraft, workloads, targets }: Props) {
  const api = useOpenApi();
  const body = bodyOf(draft);
  const validation = useValidation(useQuiet(body));
  const submit = useSubmit();
  const problem = validation.error instanceof Problem ? validation.error : null;
  const at = (pointer: string) => faultsAt(problem?.errors ?? [], pointer);
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const target = targets.find(({ name }) => name === draft.target);
  const workload = workloads.find(({ name }) => name === draft.workload);
  const samplers = jobChoices(api.data, "sampler");
  // Those that the service knows, and whatever a duplicated job names besides.
  const objectives = [...new Set([...jobChoices(api.data, "objectives"), ...draft.objectives])];

  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!body) return;
    submit.mutate(body, { onSuccess: (job) => window.location.assign(href(["jobs", job.id])) });
  };

  return (
    <form className="job-form" onSubmit={send} noValidate>
      <section className="card form-card" aria-labelledby="what-title">
        <h2 id="what-title">What is searched</h2>
        <Field label="Workload" help={jobFieldHelp(api.data, "workload")} faults={at("/workload")}>
          {(props) => (
            <select {...props} value={draft.workload} onChange={(event) => change({ workload: event.target.value })}>
              {names(workloads, draft.workload).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Target" help={target?.description} faults={at("/target")}>
          {(props) => (
            <select {...props} value={draft.target} onChange={(event) => change({ target: event.target.value })}>
              {names(targets, draft.target).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
        <FieldGroup label="Objectives" help="Accuracy is maximised, the rest minimised." faults={at("/objectives")}>
          <div className="checks">
            {objectives.map((name) => (
              <label key={name} className="field">
                <input
                  type="checkbox"
                  checked={draft.objectives.includes(name)}
                  onChange={(event) =>
                    change({
                      objectives: event.target.checked
                        ? [...draft.objectives, name]
                        : draft.objectives.filter((other) => other !== name),
                    })
                  }
                />
                {metricTitle(name)}
              </label>
            ))}
          </div>
        </FieldGroup>
        <ConstraintFields
          constraints={draft.constraints}
          faults={at("/constraints")}
          onChange={(constraints) => change({ constraints })}
        />
      </section>
      <SpaceFields
        space={draft.space}
        target={target}
        workload={workload}
        faults={at("/space")}
        onChange={(space) => change({ space })}
      />
      <section className="card form-card" aria-labelledby="how-title">
        <h2 id="how-title">How it is searched</h2>
        <Field label="Sampler" help={jobFieldHelp(api.data, "sampler")} faults={at("/sampler")}>
          {(props) =>
            samplers.length > 0 ? (
              <select {...props} value={draft.sampler} onChange={(event) => change({ sampler: event.target.value })}>
                <option value="">the service's default</option>
                {samplers.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            ) : (
              <input
                {...props}
                type="text"
                value={draft.sampler}
                placeholder="the service's default"
                onChange={(event) => change({ sampler: event.target.value })}
              />
            )
          }
        </Field>
        <ChoiceField label="Profile" name="profile" value={draft.profile} api={api.data} faults={at("/profile")} onChange={change} />
        <ChoiceField label="Fidelity" name="fidelity" value={draft.fidelity} api={api.data} faults={at("/fidelity")} onChange={change} />
        <Field label="Trials" help="That are completed, infeasible or failed; empty: as many as the time budget allows." faults={at("/budget/trials")}>
          {(props) => <NumberInput {...props} value={draft.trials} onChange={(trials) => change({ trials })} />}
        </Field>
        <Field label="Time budget, seconds" help="Empty: none. The last trial is finished." faults={at("/budget/wall_s")}>
          {(props) => <NumberInput {...props} value={draft.wall_s} onChange={(wall_s) => change({ wall_s })} />}
        </Field>
        <Field label="Seed" help={jobFieldHelp(api.data, "seed")} faults={at("/seed")}>
          {(props) => <NumberInput {...props} value={draft.seed} onChange={(seed) => change({ seed })} />}
        </Field>
      </section>
      <section className="card form-card submit-card" aria-labelledby="cost-title">
        <h2 id="cost-title">What it takes</h2>
        <CostPreview validation={validation.error ? undefined : validation.data} isChecking={validation.isFetching} />
        {validation.error && <ProblemNotice error={validation.error} />}
        {submit.error && <ProblemNotice error={submit.error} />}
        <div className="actions">
          <button type="submit" className="primary" disabled={!body || validation.isError || submit.isPending}>
            Submit the job
          </button>
        </div>
        <details>
          <summary>The request</summary>
          <pre tabIndex={0} role="group" aria-label="The request as JSON">
            <code>{JSON.stringify(body, null, 2)}</code>
          </pre>
        </details>
      </section>
    </form>
  );
}

/** The registered names; one that a duplicated job has and that is gone since stays to be seen. */
const names = (known: { name: string }[], current: string): string[] => [
  ...new Set([...known.map(({ name }) => name), ...(current ? [current] : [])]),
];

interface NumberProps {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
  value: number | null;
  onChange: (value: number | null) => void;
}

function NumberInput({ value, onChange, ...props }: NumberProps) {
  return (
    <input
      {...props}
      type="number"
      value={value ?? ""}
      onChange={(event) => onChange(event.target.value === "" ? null : Number(event.target.value))}
    />
  );
}

/** What was typed, once the typing rests. */
function useQuiet(body: JobIn | null): JobIn | null {
  const text = JSON.stringify(body);
  const [quiet, setQuiet] = useState(text);
  useEffect(() => {
    const timer = window.setTimeout(() => setQuiet(text), QUIET_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  return JSON.parse(quiet) as JobIn | null;
}

interface ChoiceProps {
  label: string;
  name: "profile" | "fidelity";
  value: string;
  api: OpenApi | undefined;
  faults: { pointer: string; detail: string }[];
  onChange: (changes: Partial<Draft>) => void;
}

/** One of what the service's description lists; not there where it lists nothing. */
function ChoiceField({ label, name, value, api, faults, onChange }: ChoiceProps) {
  const choices = jobChoices(api, name);
  if (choices.length === 0) return null;
  return (
    <Field label={label} help={jobFieldHelp(api, name)} faults={faults}>
      {(props) => (
        <select {...props} value={value} onChange={(event) => onChange({ [name]: event.target.value })}>
          <option value="">the service's default</option>
          {choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      )}
    </Field>
  );
}
