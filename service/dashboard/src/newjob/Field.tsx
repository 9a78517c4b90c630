import { type ReactNode, useId } from "react";

interface Fault {
  pointer: string;
  detail: string;
}

interface Props {
  label: string;
  help?: string | undefined;
  faults?: Fault[];
  children: (props: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => ReactNode;
}

/** A labelled control with what the service says about it: its meaning, and what is wrong. */
export function Field({ label, help, faults = [], children }: Props) {
  const id = useId();
  const about = `${id}-about`;
  return (
    <div className="form-field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": about, "aria-invalid": faults.length > 0 })}
      <About id={about} help={help} faults={faults} />
    </div>
  );
}

/** The same for a group of controls. */
export function FieldGroup({ label, help, faults = [], children }: Omit<Props, "children"> & { children: ReactNode }) {
  const id = useId();
  return (
    <fieldset className="form-field" aria-describedby={id}>
      <legend>{label}</legend>
      {children}
      <About id={id} help={help} faults={faults} />
    </fieldset>
  );
}

function About({ id, help, faults }: { id: string; help: string | undefined; faults: Fault[] }) {
  return (
    <div id={id} className="about">
      {faults.map(({ pointer, detail }) => (
        <p key={pointer + detail} className="fault">
          <code>{pointer}</code> {detail}
        </p>
      ))}
      {faults.length === 0 && help && <p className="note">{help}</p>}
    </div>
  );
}
