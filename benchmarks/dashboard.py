"""How fast the dashboard is in a real browser: ``python -m benchmarks.dashboard``.

A job of 1,000 trials and one of 100,000 are opened. The page comes from a real server process and is loaded
cold, by a browser that has seen nothing of it. It is painted when the front's chart holds its points; the
rest of the trials arrives after that.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.service import Scale, fill, serving
from benchmarks.table import Row, exit_code, print_rows, write_rows
from storage import Database
from tests import browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, Page

SMALL: Final = 1_000
LARGE: Final = 100_000
SCRIPT_BYTES: Final = 450_000
PAINT_S: Final = 1.5
ANSWER_S: Final = 1.0
"""Up to which somebody's flow of thought stays unbroken (Nielsen 1993, response times)."""
PATIENCE_S: Final = 10.0
"""Up to which somebody stays at a page that shows that it works (ibid.)."""
WAIT_MS: Final = 120_000

WATCH: Final = """
window.blocked = 0;
new PerformanceObserver(list => {
  for (const { duration } of list.getEntries()) window.blocked = Math.max(window.blocked, duration);
}).observe({ type: "longtask", buffered: true });
"""


def visit(chromium: Browser, base: str, job: str, trials: int) -> dict[str, float]:
    """Seconds until what somebody does on a job's page is done, bytes of scripts, and points drawn."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(WATCH)
    scripts: set[str] = set()
    page.on("request", lambda request: scripts.add(request.url) if request.url.endswith(".js") else None)
    page.goto(f"{base}/#/jobs/{job}", wait_until="commit")
    found: dict[str, float] = {}
    found["painted"] = _since_start(
        page, "document.querySelector('[data-testid=pareto-chart][data-positions]')"
    )
    found["all there"] = _since_start(page, f"document.body.textContent.includes('All {trials}')")
    page.wait_for_load_state("networkidle")
    found["sorted"] = _answered(
        page,
        lambda: page.get_by_role("button", name="Latency, speed-up").click(),
        "document.querySelector('th[aria-sort=ascending]').textContent.startsWith('Latency')",
    )
    found["picked"] = _answered(
        page,
        lambda: page.evaluate("location.hash += '?in.latency_ms=0.1:0.2'"),
        "document.querySelector('[data-testid=picked]').textContent.includes('trials with')",
    )
    found["front alone"] = _answered(
        page,
        lambda: page.evaluate("location.hash += '&show=front'"),
        "!document.querySelector('[data-testid=trial-row][data-front=false]')",
    )
    found["points"] = page.evaluate(
        "Object.keys(JSON.parse(document.querySelector('[data-testid=pareto-chart]').dataset.positions)).length"
    )
    found["blocked"] = page.evaluate("window.blocked") / 1e3
    page.close()
    found["scripts"] = sum(len(gzip.compress(httpx.get(url).content)) for url in scripts)
    return found


def _since_start(page: Page, condition: str) -> float:
    page.wait_for_function(f"() => {condition}", timeout=WAIT_MS)
    seconds: float = page.evaluate("performance.now()") / 1e3
    return seconds


def _answered(page: Page, act: Callable[[], Any], condition: str) -> float:
    begun = time.perf_counter()
    act()
    page.wait_for_function(f"() => {condition}", timeout=WAIT_MS)
    return time.perf_counter() - begun


def rows_of(small: dict[str, float], large: dict[str, float]) -> Iterator[Row]:
    """The table's lines."""
    scripts = small["scripts"]
    yield Row(
        "initial scripts, gzipped", "≤ 450 kB", f"{scripts / 1e3:.0f} kB", holds=scripts <= SCRIPT_BYTES
    )
    for what, key, found, limit in (
        ("first meaningful paint, 1,000 trials", "painted", small, PAINT_S),
        ("first meaningful paint, 100,000 trials", "painted", large, PAINT_S),
        ("all 100,000 trials are there", "all there", large, PATIENCE_S),
        ("100,000 trials sorted by latency", "sorted", large, ANSWER_S),
        ("100,000 trials, a range picked", "picked", large, ANSWER_S),
        ("100,000 trials, the front alone listed", "front alone", large, ANSWER_S),
    ):
        yield Row(what, f"≤ {limit:g} s", f"{found[key]:.2f} s", holds=found[key] <= limit)
    yield Row("points drawn of 100,000", "", f"{large['points']:.0f}")
    yield Row("longest time that the page was busy, 100,000 trials", "", f"{large['blocked']:.2f} s")


def measure(directory: Path, seed: int, visits: int) -> Sequence[Row]:
    """Fills a database, serves it, and visits both jobs; of several visits the median one counts."""
    url = f"sqlite:///{directory}/tauten.db"
    database = Database(url)
    database.upgrade()
    sizes = (SMALL, LARGE)
    jobs = [fill(database, directory, Scale(size, 1, 1, 1, 1, 1), seed) for size in sizes]
    database.close()
    with serving(url, directory) as (base, _), sync_playwright() as playwright:
        path = browser.find()
        chromium = playwright.chromium.launch(executable_path=path, args=list(browser.FLAGS))
        found = [
            _median([visit(chromium, base, job, size) for _ in range(visits)])
            for job, size in zip(jobs, sizes, strict=True)
        ]
        chromium.close()
    return list(rows_of(*found))


def _median(visits: list[dict[str, float]]) -> dict[str, float]:
    return {key: sorted(found[key] for found in visits)[len(visits) // 2] for key in visits[0]}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one visit of each job instead of five")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(Path(directory), options.seed, 1 if options.quick else 5)
    print_rows("The dashboard in a real browser", rows)
    if options.json:
        write_rows(options.json, rows)
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
