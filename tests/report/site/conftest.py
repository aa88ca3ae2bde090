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
