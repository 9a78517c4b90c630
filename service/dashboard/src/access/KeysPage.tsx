import type { FormEvent } from "react";
import { createKey, revokeKey, useKeyChange, useKeys } from "../api/queries";
import type { Key } from "../api/types";
import { Age } from "../parts/Age";
import { Command } from "../parts/Command";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";

/** The API keys, for administrators: who may call, and a new one. */
export function KeysPage() {
  const keys = useKeys();
  const create = useKeyChange(createKey);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const body = { name: String(data.get("name")), scope: String(data.get("scope")) };
    create.mutate(body, { onSuccess: () => form.reset() });
  };
  return (
    <>
      <Heading title="Keys">API keys</Heading>
      <form className="filters" onSubmit={submit}>
        <label className="field">
          Whose
          <input type="text" name="name" required maxLength={100} />
        </label>
        <label className="field">
          May
          <select name="scope" defaultValue="write">
            <option>read</option>
            <option>write</option>
            <option>admin</option>
          </select>
        </label>
        <button type="submit" className="primary" disabled={create.isPending}>
          Make a key
        </button>
      </form>
      {create.error && <ProblemNotice error={create.error} />}
      {create.data && (
        <section className="notice" data-tone="good" aria-label="The new key">
          <p>The key of {create.data.name}. It is shown this once.</p>
          <Command label="The new key" text={create.data.key} />
        </section>
      )}
      {keys.error && <ProblemNotice error={keys.error} />}
      {keys.isPending && <Loading what="the keys" />}
      {keys.data && keys.data.items.length === 0 && <p className="empty">There is no key yet.</p>}
      {keys.data && keys.data.items.length > 0 && <KeyTable keys={keys.data.items} />}
    </>
  );
}

function KeyTable({ keys }: { keys: Key[] }) {
  const revoke = useKeyChange(revokeKey);
  return (
    <div className="card scroll-x">
      {revoke.error && <ProblemNotice error={revoke.error} />}
      <table data-testid="keys">
        <thead>
          <tr>
            <th scope="col">Whose</th>
            <th scope="col">May</th>
            <th scope="col">Made</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {keys.map(({ id, name, scope, created_at, revoked_at }) => (
            <tr key={id}>
              <th scope="row">{name}</th>
              <td>{scope}</td>
              <td>
                <Age moment={created_at} />
              </td>
              <td>
                {revoked_at ? (
                  <>
                    revoked <Age moment={revoked_at} />
                  </>
                ) : (
                  <button type="button" onClick={() => revoke.mutate(id)} disabled={revoke.isPending}>
                    Revoke<span className="unseen"> the key of {name}</span>
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
