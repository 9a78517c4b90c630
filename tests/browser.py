"""Finds a Chromium for the browser tests, or gets one; ``python -m tests.browser`` says which."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


def find() -> str | None:
    """The path of an installed Chromium: on the PATH, else Playwright's own."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> None:
    """Debian's package where we may install it, else Playwright's own."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print("installing Debian's chromium ...", flush=True)
        for step in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-q", *step], stdout=subprocess.DEVNULL, check=False)
        if find():
            return
    print("installing Playwright's chromium ...", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> int:
    """Exits with 1 where no Chromium can be had."""
    if find() is None:
        install()
    found = find()
    print(f"browser: {found}" if found else "no Chromium could be installed; the browser tests will fail")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
