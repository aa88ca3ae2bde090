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
def parts(report: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables of the report, and one figure of each cell, by folder."""
    from bench.report.tables import cell_tables, overall_tables
    from tests.helpers.site_records import picture

    tables = {str(c.cell.folder): cell_tables(c) for c in report.cells} | {"": overall_tables(report)}
    return tables, {str(c.cell.folder): [picture()] for c in report.cells} | {"": []}


@pytest.fixture(scope="session")
def out(report: Any, parts: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables and figures, and the site beside them."""
    from bench.report.files import write
    from bench.report.site import files

    root = tmp_path_factory.mktemp("reports")
    tables, figures = parts
    made = {f"{f}/tables/{t.name}.csv".lstrip("/"): t.csv().encode() for f, held in tables.items() for t in held}
    for folder, drawn in figures.items():
        made |= {f"{folder}/figures/{name}": file for figure in drawn for name, file in figure.files.items()}
    write(root, made | files(report, tables, figures, made))
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
