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


@pytest.fixture(scope="module")
def chromium():
    """A browser; while it is there its driver's event loop runs, so that no test of another file may share it."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)  # a busy machine is slower than the default allows
    path = browser.find()
    assert path, "no Chromium; run: python -m tests.browser"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(browser.FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def tab(chromium):
    """The one page of a file's tests: a new one for each would start the scripts cold, a second of CPU time.

    The document's policy is as strict as any proxy could make it.
    """
    tab = chromium.new_page()
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("console", lambda message: tab.faults.append(message.text) if message.type == "error" else None)

    def with_policy(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"content-security-policy": POLICY})

    tab.route(lambda url: url.endswith(("/", "/index.html")), with_policy)
    yield tab
    tab.close()


@pytest.fixture
def page(tab):
    """An empty page that keeps in `faults` what goes wrong in it; it remembers nothing of earlier tests."""
    tab.goto("about:blank")
    tab.context.clear_cookies()
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    tab.faults = []
    return tab
