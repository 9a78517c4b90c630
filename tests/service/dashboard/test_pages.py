"""Every page: for everybody, in both schemes, narrow and wide, under any path, and when the service is gone."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

DASHBOARD = Path(__file__).parents[3] / "service" / "dashboard"
PLACES = (
    "",
    "jobs/{job}?trial=1&in.latency_ms=0.05:0.2&marked=0,1",
    "jobs/{job}/trials/1",
    "jobs/{job}/trials/3",
    "jobs/{job}/choose",
    "jobs/{job}/retarget",
    "jobs/{job}/compare?trials=0,1,4",
    "new?from={job}",
    "targets",
    "workloads",
    "nowhere",
)


@pytest.fixture(scope="module")
def axe():
    """The source of the accessibility checker, which the dashboard's own packages hold."""
    return (DASHBOARD / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def is_settled(page):
    page.wait_for_load_state("networkidle")
    expect(page.locator(".loading")).to_have_count(0)
    expect(page.locator("h1")).to_be_visible()


@pytest.mark.parametrize("place", PLACES)
def test_a_page_is_accessible_in_both_schemes_fits_any_window_and_breaks_no_policy(
    server, page, job, axe, place
):
    page.goto(f"{server.client.url}/#/{place.format(job=job)}")
    is_settled(page)
    for width in (400, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        # charts take their new width a frame later
        page.wait_for_function(f"document.documentElement.scrollWidth <= {width}", timeout=15_000)
    page.set_viewport_size({"width": 1280, "height": 900})
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = !element.classList.contains('menu') }")
    page.evaluate(axe)

    # beside the colours, nothing that axe looks at depends on the scheme
    for scheme, rules in (("light", ""), ("dark", "runOnly: ['color-contrast', 'link-in-text-block'], ")):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(f"axe.run(document, {{ {rules}resultTypes: ['violations'] }})")
        assert [
            (fault["id"], [node["html"][:150] for node in fault["nodes"]]) for fault in found["violations"]
        ] == []
    assert page.faults == []


def test_the_keyboard_alone_leads_from_the_list_to_a_trial(server, page, job):
    page.goto(server.client.url)
    expect(page.get_by_test_id("job-row").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    link = page.get_by_test_id("job-row").first.get_by_role("link")
    for _ in range(12):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()

    row = page.locator('[data-testid="trial-row"][data-trial="4"]')
    row.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("trial-detail")).to_contain_text("Trial 4")


def test_a_lost_connection_is_said_and_the_page_goes_on_when_it_is_back(server, chromium, job):
    page = chromium.new_page()
    with Prefixed(server.client.url, "") as url:
        page.goto(url)
        expect(page.locator(f'[data-job="{job}"]')).to_be_visible()
        expect(page.get_by_test_id("connection")).to_be_empty()
    expect(page.get_by_test_id("connection")).to_contain_text("does not answer")
    expect(page.locator(f'[data-job="{job}"]')).to_be_visible()
    with Prefixed(server.client.url, "", port=int(url.rpartition(":")[2])):
        expect(page.get_by_test_id("connection")).to_be_empty()
        page.close()


def test_the_dashboard_stands_behind_any_path(server, page, job):
    with Prefixed(server.client.url, "/team/tauten") as url:
        page.goto(f"{url}/")
        page.locator(f'[data-job="{job}"]').get_by_role("link").first.click()
        expect(page.get_by_test_id("trial-row")).to_have_count(5)
        assert page.url.startswith(f"{url}/#/jobs/")
        recipe = page.get_by_test_id("trial-detail").get_by_role("link", name="Recipe")
        assert recipe.get_attribute("href").startswith(f"{url}/api/v1/jobs/")
        assert page.faults == []


class Prefixed:
    """A proxy that passes on what lies under a path prefix, and nothing else."""

    def __init__(self, url, prefix, port=0):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if not self.path.startswith(f"{prefix}/"):
                    self.send_error(404)
                    return
                answer = httpx.get(url + self.path.removeprefix(prefix), timeout=30)
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers.get("content-type", ""))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_):
                """Nothing: the browser's own log is what is looked at."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}{prefix}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self.url

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_the_first_load_is_small_and_needs_no_other_host(server, page, job):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.client.url}/#/jobs/{job}")
    is_settled(page)

    assert all(url.startswith(server.client.url) for url in asked)
    scripts = {url for url in asked if url.endswith(".js")}
    compressed = sum(len(gzip.compress(httpx.get(url).content)) for url in scripts)
    assert compressed <= 450_000
