import type { ReactNode } from "react";
import { KeysPage } from "./access/KeysPage";
import { SignIn } from "./access/SignIn";
import { SignOut } from "./access/SignOut";
import { TargetsPage } from "./catalogue/TargetsPage";
import { WorkersPage } from "./catalogue/WorkersPage";
import { WorkloadsPage } from "./catalogue/WorkloadsPage";
import { useConnection } from "./api/connection";
import { hasPath, useOpenApi } from "./api/openapi";
import { useSession } from "./api/queries";
import { ChoosePage } from "./choose/ChoosePage";
import { ComparePage } from "./compare/ComparePage";
import { JobPage } from "./job/JobPage";
import { JobsPage } from "./jobs/JobsPage";
import { NewJobPage } from "./newjob/NewJobPage";
import { ConnectionBanner } from "./parts/ConnectionBanner";
import { Heading } from "./parts/Heading";
import { PolicyPage } from "./policy/PolicyPage";
import { RetargetPage } from "./retarget/RetargetPage";
import { href, type Place, usePlace } from "./routing/place";

/** The main pages: where, by which name, and what the service must have for it. */
const ROOMS = [
  [[], "Jobs", null],
  [["new"], "New job", null],
  [["targets"], "Targets", null],
  [["workloads"], "Workloads", null],
  [["workers"], "Workers", "/api/v1/workers"],
  [["keys"], "Keys", "/api/v1/keys"],
] as const;

export function App() {
  const place = usePlace();
  const { needsKey } = useConnection();
  const api = useOpenApi().data;
  const session = useSession(hasPath(api, "/api/v1/session")).data;
  const isOpen = (room: string | undefined, needed: string | null) =>
    (needed === null || hasPath(api, needed)) && (room !== "keys" || session?.scope === "admin");
  return (
    <>
      <a className="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <header className="masthead">
        <nav aria-label="Main">
          <a className="brand" href={href([])}>
            <img src="./favicon.svg" alt="" width="22" height="22" />
            Tauten
          </a>
          {ROOMS.filter(([path, , needed]) => isOpen(path[0], needed)).map(([path, name]) => (
            <a key={name} href={href([...path])} aria-current={place.path[0] === path[0] ? "page" : undefined}>
              {name}
            </a>
          ))}
          {session?.name != null && <SignOut name={session.name} />}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {needsKey ? <SignIn /> : page(place)}
      </main>
      <ConnectionBanner />
    </>
  );
}

function page({ path, query }: Place): ReactNode {
  const [room, id, part, number, ...rest] = path;
  if (rest.length > 0) return <NotFound />;
  if (room === undefined) return <JobsPage query={query} />;
  if (id === undefined) {
    if (room === "new") return <NewJobPage key={query.get("from")} query={query} />;
    if (room === "targets") return <TargetsPage />;
    if (room === "workloads") return <WorkloadsPage />;
    if (room === "workers") return <WorkersPage />;
    if (room === "keys") return <KeysPage />;
  }
  if (room === "jobs" && id !== undefined) {
    if (part === undefined) return <JobPage key={id} id={id} query={query} />;
    if (part === "choose" && number === undefined) return <ChoosePage key={id} id={id} query={query} />;
    if (part === "retarget" && number === undefined) return <RetargetPage key={id} id={id} query={query} />;
    if (part === "compare" && number === undefined) return <ComparePage key={id} id={id} query={query} />;
    if (part === "trials" && number !== undefined && /^\d+$/.test(number)) {
      return <PolicyPage key={`${id} ${number}`} id={id} number={Number(number)} />;
    }
  }
  return <NotFound />;
}

function NotFound() {
  return (
    <>
      <Heading title="Not found">There is no such page</Heading>
      <p>
        Go to <a href={href([])}>all jobs</a>.
      </p>
    </>
  );
}

/** The hash holds the place, so a plain link to #main would lose it. */
function skipToMain(event: React.MouseEvent) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
