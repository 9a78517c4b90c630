import { JobPage } from "./job/JobPage";
import { JobsPage } from "./jobs/JobsPage";
import { Heading } from "./parts/Heading";
import { href, type Place, usePlace } from "./routing/place";

export function App() {
  const place = usePlace();
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
          <a href={href([])} aria-current={place.path.length === 0 ? "page" : undefined}>
            Jobs
          </a>
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        <Page {...place} />
      </main>
    </>
  );
}

function Page({ path, query }: Place) {
  const [room, id, ...rest] = path;
  if (room === undefined) return <JobsPage query={query} />;
  if (room === "jobs" && id !== undefined && rest.length === 0) return <JobPage key={id} id={id} query={query} />;
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
