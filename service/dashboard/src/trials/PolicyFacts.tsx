import type { Policy, Recovery, Student } from "../api/types";
import { share } from "../format/numbers";

/** The parts of a policy that hold for the whole model. */
export function PolicyFacts({ policy: { student, recovery } }: { policy: Policy }) {
  return (
    <dl className="facts">
      <div>
        <dt>Student</dt>
        <dd>{student ? describeStudent(student) : "the model itself"}</dd>
      </div>
      <div>
        <dt>Recovery</dt>
        <dd>{recovery ? describeRecovery(recovery) : "none"}</dd>
      </div>
    </dl>
  );
}

export function describeStudent({ family, depth, width }: Student): string {
  const name = family === "self" ? "of the model itself" : family;
  return `${name}, depth ${share(depth)}, width ${share(width)}`;
}

export function describeRecovery({ epochs, qat, distill }: Recovery): string {
  const parts = [`${epochs} ${epochs === 1 ? "epoch" : "epochs"}`];
  if (qat) parts.push("quantization-aware");
  if (distill) {
    const features = distill.features === "none" ? "" : `, ${distill.features} features`;
    parts.push(`distilled (temperature ${distill.temperature}, α ${distill.alpha}${features})`);
  }
  return parts.join(", ");
}
