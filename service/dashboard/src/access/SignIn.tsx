import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { signIn } from "../api/client";
import { Heading } from "../parts/Heading";
import { ProblemNotice } from "../parts/Notice";

/** Asks for an API key where the service serves nobody without one. */
export function SignIn() {
  const client = useQueryClient();
  const send = useMutation({ mutationFn: signIn, onSuccess: () => client.invalidateQueries() });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    send.mutate(String(new FormData(event.currentTarget).get("key") ?? "").trim());
  };
  return (
    <>
      <Heading title="Sign in">Sign in</Heading>
      <form className="card form-card sign-in" onSubmit={submit}>
        <div className="form-field">
          <label htmlFor="key">API key</label>
          <input id="key" name="key" type="password" autoComplete="current-password" required placeholder="tk_…" />
          <p className="note">
            <code>tauten key create</code> makes one.
          </p>
        </div>
        {send.error && <ProblemNotice error={send.error} />}
        <div className="actions">
          <button type="submit" className="primary" disabled={send.isPending}>
            Sign in
          </button>
        </div>
      </form>
    </>
  );
}
