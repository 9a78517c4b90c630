"""A real service and a real browser; pages come under a content security policy without inline code or eval."""

from __future__ import annotations

import pytest

from storage import Database, Store
from tests import browser
from tests.processes import served
from tests.service.conftest import finished_search

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("dashboard"), workers=0) as server:
        yield server


@pytest.fixture(scope="session")
def store(server):
    database = Database(f"sqlite:///{server.data}/tauten.db")
    yield Store(database)
    database.close()


@pytest.fixture(scope="session")
def job(server, store):
    """A job that succeeded with five trials, of which three are on the front; tests only look at it."""
    return finished_search(store, server.data)


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)  # a busy machine is slower than the default allows
    path = browser.find()
    assert path, "no Chromium; run: python -m tests.browser"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(browser.FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(chromium):
    """A page that keeps what goes wrong in it; the document's policy is as strict as any proxy could make it."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)

    def with_policy(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"content-security-policy": POLICY})

    page.route(lambda url: url.endswith(("/", "/index.html")), with_policy)
    yield page
    page.close()
