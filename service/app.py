"""The application: puts the parts together, serves the API and the dashboard.

It never runs a trial and never loads torch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from evaluators.targets import list_targets
from evaluators.workloads import list_workloads
from service.answers import Answers
from service.context import Context
from service.figures import Figures
from service.gate import Gate, known_hosts
from service.hub import Hub
from service.in_flight import KeysInFlight
from service.janitor import janitor
from service.limits import BodyLimit
from service.problems import install
from service.recurring import Recurring
from service.routes import catalogue, events, health, jobs, keys, results, sessions, workers
from service.security import authorise, bearer, cookie
from service.settings import Settings
from service.supervisor import Supervisor
from storage import CensusTaker, Database, KeyRing, Results, Store, WorkerList, open_artifacts

STATIC: Final = Path(__file__).parent / "static"
EXPLAIN_S: Final = 5.0
"""Between two looks at why jobs wait that nobody takes."""

_NOT_BUILT: Final = """<!doctype html><title>Tauten</title><h1>Tauten</h1>
<p>The dashboard is not built; run <code>make dashboard</code>. The API is at <a href="docs">/docs</a>.</p>"""


def create_app(settings: Settings) -> FastAPI:
    """Makes the application; connects and starts workers when it starts to serve.

    Args:
        settings: of this process.
    """
    stopping = Stopping()
    database = Database(settings.database_url)
    store = Store(database)
    figures = Figures(CensusTaker(database).count)
    context = Context(
        settings=settings,
        database=database,
        store=store,
        results=Results(database),
        keys=KeyRing(database),
        workers=WorkerList(database),
        artifacts=open_artifacts(settings.artifacts_dir, settings.artifacts_url),
        workloads=list_workloads(),
        targets=list_targets(settings.targets_dir),
        figures=figures,
        hub=Hub(store.standpoints, stopping),
        answers=Answers(),
        in_flight=KeysInFlight(),
        is_stopping=stopping,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database.upgrade()
        with (
            Supervisor(settings),
            janitor(settings, store, figures.add_freed),
            Recurring(store.explain_waiting, EXPLAIN_S, "cannot tell why jobs wait; trying again"),
        ):
            yield
        database.close()

    app = FastAPI(
        title="Tauten",
        version=version("tauten"),
        lifespan=lifespan,
        docs_url=None if settings.needs_key else "/docs",  # its page runs scripts from elsewhere
        redoc_url=None,
    )
    app.state.context, app.state.stopping = context, stopping
    app.add_middleware(BodyLimit)
    app.add_middleware(
        Gate,
        allowed_hosts=known_hosts(settings.host, settings.allowed_hosts),
        observe=figures.observe_request,
    )
    install(app)
    # the document says that calls need a key where they do
    shown = [Depends(bearer), Depends(cookie)] if settings.needs_key else []
    guards = [*shown, Depends(authorise)]
    for module in (jobs, results, events, catalogue, workers, keys):
        app.include_router(module.router, prefix="/api/v1", dependencies=guards)
    app.include_router(sessions.router, prefix="/api/v1")
    app.include_router(health.router)
    app.include_router(health.guarded, dependencies=guards)
    _mount_dashboard(app)
    return app


class Stopping:
    """Whether the server is shutting down; streams ask, since a server waits for them."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self) -> bool:
        """Asks."""
        return self.is_set


def _mount_dashboard(app: FastAPI) -> None:
    if (STATIC / "index.html").exists():
        app.mount("/", StaticFiles(directory=STATIC, html=True), name="dashboard")
        return

    @app.get("/", include_in_schema=False)
    def not_built() -> HTMLResponse:
        return HTMLResponse(_NOT_BUILT)
