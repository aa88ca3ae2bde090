"""The documentation site and the notebook, where the packages of the extra `docs` are installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.docs
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
REQUEST = re.compile(r"""<(?:script|img|iframe|link(?! rel="canonical"))[^>]*(?:src|href)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page_and_asks_nothing_of_the_network(site):
    pages = {page.stem: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} | {"notebook"} <= set(pages)
    assert {name: found for name, text in pages.items() if (found := REQUEST.findall(text))} == {}
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles)


def test_no_link_of_the_site_leads_out_of_it_but_to_the_report(site):
    for page in site.glob("*.html"):
        links = re.findall(r'href="(\.\./[^"#]*)', page.read_text(encoding="utf-8"))
        assert set(links) <= {"../site/index.html"}, page


def test_the_api_page_documents_every_public_function(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    for name in ("run", "evaluate", "leaderboard", "load_policy", "gain", "fit", "from_stages"):
        assert re.search(rf'<h\d id="[\w.]+\.(?:{name}|load)"', text), name
    assert "Raises UserError" in text


def test_the_notebook_runs(environment, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where it writes
    monkeypatch.delenv("MPLBACKEND", raising=False)  # charts are shown in it
    held = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(held, timeout=500, kernel_name="python3", resources=where).execute()
    shown = [output for cell in held.cells for output in cell.get("outputs", ())]
    assert not [output for output in shown if output.output_type == "error"]
    assert "my_margin" in str(shown[-1]["data"]["text/plain"]) and any("image/png" in o.get("data", {}) for o in shown)


def test_the_notebook_is_stored_without_outputs():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
