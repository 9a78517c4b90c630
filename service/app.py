"""The application: puts the parts together, serves the API and the dashboard.

It never runs a trial and never loads torch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from evaluators.targets import list_targets
from evaluators.workloads import list_workloads
from service.context import Context
from service.limits import BodyLimit
from service.problems import install
from service.routes import catalogue, events, health, jobs, results
from service.settings import Settings
from service.supervisor import Supervisor
from storage import ArtifactStore, Database, Store

STATIC: Final = Path(__file__).parent / "static"

_NOT_BUILT: Final = """<!doctype html><title>Tauten</title><h1>Tauten</h1>
<p>The dashboard is not built; run <code>make dashboard</code>. The API is at <a href="docs">/docs</a>.</p>"""


def create_app(settings: Settings) -> FastAPI:
    """Makes the application; connects and starts workers when it starts to serve.

    Args:
        settings: of this process.
    """
    stopping = Stopping()
    database = Database(settings.database_url)
    context = Context(
        settings,
        database,
        Store(database),
        ArtifactStore(settings.artifacts_dir),
        list_workloads(),
        list_targets(),
        stopping,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database.upgrade()
        with Supervisor(settings):
            yield
        database.close()

    app = FastAPI(title="Tauten", version=version("tauten"), lifespan=lifespan)
    app.state.context, app.state.stopping = context, stopping
    app.add_middleware(BodyLimit)
    install(app)
    for module in (jobs, results, events, catalogue):
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(health.router)
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
