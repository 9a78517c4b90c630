"""Pictures of each page of the dashboard for the docs: ``python -m tests.screenshots [--url URL --job ID] [--out DIR]``.

Without ``--url`` it starts the service, runs a real search, and ends it afterwards. With ``--extra`` it also makes the
pictures that are only looked at: dark, narrow and wide ones.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests import browser
from tests.processes import served

SPEC = {
    "workload": "digits-cnn",
    "constraints": {"accuracy_drop": {"max": 0.01}},
    "budget": {"trials": 40},
}
WIDE, NARROW, HUGE = (1280, 900), (400, 860), (2560, 1300)


def pages(job, best):
    """Each page's name and place."""
    return {
        "jobs": "#/",
        "job": f"#/jobs/{job}?trial={best}",
        "policy": f"#/jobs/{job}/trials/{best}",
        "choose": f"#/jobs/{job}/choose",
        "retarget": f"#/jobs/{job}/retarget",
        "compare": f"#/jobs/{job}/compare?trials=0,{best}",
        "new-job": f"#/new?from={job}",
        "targets": "#/targets",
        "workloads": "#/workloads",
    }


@contextmanager
def searched():
    """A service whose only job has run its search."""
    with tempfile.TemporaryDirectory() as directory, served(Path(directory)) as server:
        job = server.client.submit(SPEC)["id"]
        server.wait(job, "succeeded", timeout_s=900)
        server.wait(server.client.retarget(job, "raspberry-pi-5")["id"], "succeeded", timeout_s=300)
        yield server.client.url, job


def shoot(chromium, url, place, path, *, size=WIDE, scheme="light"):
    """One picture of a whole page."""
    page = chromium.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
    page.goto(f"{url}/{place}")
    page.wait_for_load_state("networkidle")
    page.wait_for_function("document.querySelectorAll('.loading').length === 0")
    page.screenshot(path=path, full_page=True)
    page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--job")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--extra", action="store_true")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    if options.url:
        shoot_all(options, options.url, options.job)
    else:
        with searched() as (url, job):
            shoot_all(options, url, job)


def shoot_all(options, url, job):
    """Every page, and in both schemes and several widths where asked."""
    import httpx

    best = httpx.get(f"{url}/api/v1/jobs/{job}/front").json()["chosen"]
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        for name, place in pages(job, best).items():
            if options.only and name not in options.only:
                continue
            shoot(chromium, url, place, options.out / f"{name}.png")
            if name == "job" or options.extra:
                shoot(chromium, url, place, options.out / f"{name}-dark.png", scheme="dark")
            if options.extra:
                shoot(chromium, url, place, options.out / f"{name}-narrow.png", size=NARROW)
                shoot(chromium, url, place, options.out / f"{name}-huge.png", size=HUGE)
        if not options.only or "sensitivity" in options.only:
            shoot_part(chromium, f"{url}/#/jobs/{job}", "sensitivity", options.out / "sensitivity.png")
        chromium.close()


def shoot_part(chromium, url, part, path):
    """One picture of a part of a page that is folded away at first."""
    page = chromium.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
    page.goto(url)
    box = page.get_by_test_id(part)
    box.locator("summary").first.click()
    page.wait_for_load_state("networkidle")
    box.screenshot(path=path)
    page.close()


if __name__ == "__main__":
    main()
