import { useMutation, useQueryClient } from "@tanstack/react-query";
import { signOut } from "../api/queries";

/** Who is signed in, and the way out. */
export function SignOut({ name }: { name: string }) {
  const client = useQueryClient();
  const leave = useMutation({ mutationFn: signOut, onSuccess: () => client.resetQueries() });
  return (
    <span className="signed-in">
      {name}{" "}
      <button type="button" onClick={() => leave.mutate()}>
        Sign out
      </button>
    </span>
  );
}
