"""A site made of made-up records, and a browser to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser")


@pytest.fixture(scope="session")
def report() -> Any:
    from tests.helpers.site_records import make_report

    return make_report()


@pytest.fixture(scope="session")
def out(report: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables and figures, and the site beside them."""
    from bench.report.files import save
    from tests.helpers.site_records import made

    root = tmp_path_factory.mktemp("reports")
    save(root, made(report))
    return root


@pytest.fixture(scope="session")
def site(out: Path) -> Path:
    return out / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium; where it is absent tests are skipped, but never in continuous integration."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def cell(site) -> str:
    return next(p for p in (site / "settings").rglob("*.html") if "resnet18" in p.name).relative_to(site).as_posix()


@pytest.fixture
def visit(browser, site, cell):
    """Open a page in a context of its own: `visit(name, width=…, color_scheme=…)`."""
    contexts: list[Any] = []

    def open_page(name: str, width: int = 1280, plots: bool = True, **known: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **known)
        contexts.append(context)
        page = context.new_page()
        if not plots:  # their script takes most of the time
            page.route("**/plotly.min.js", lambda route: route.abort())
        page.set_default_timeout(120_000)
        path, mark, part = name.partition("#")
        page.goto((site / (cell if path == "cell" else path)).as_uri() + mark + part)
        if name == "cell" and plots:
            page.wait_for_selector("#plot .scatterlayer .point", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
