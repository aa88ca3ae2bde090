"""What the documentation site adds to the pages: links into the repository, and the notebook as a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^\]]*)\]\(\.\./([^)\s]+)\)")
FILE = re.compile(r"<!-- (\S+\.\w+) -->\n```(\w+)")
REPORT = "../site/index.html"  # seen from reports/docs


def on_files(files: Files, config: Any) -> Files:
    """Add the notebook as a page of its cells."""
    text = page(json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8")))
    files.append(File.generated(config, "notebook.md", content=text))
    return files


def page(notebook: dict[str, Any]) -> str:
    """Return the cells of a notebook as Markdown."""
    cells = ((cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"])
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show the file that a block is, and replace links that lead out of docs/: to the report's site, or by a name."""
    titled = FILE.sub(r'```\2 title="\1"', markdown)
    return LINK.sub(_outside, titled.replace("](notebook.ipynb)", "](notebook.md)"))


def _outside(link: re.Match[str]) -> str:
    text, target = link.groups()
    if target.startswith("reports/"):
        return f'<a href="{REPORT}">{text}</a>'
    path = target.rstrip("/")
    return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}` in the repository)"
