"""Update the tables of docs/catalogue.md from the descriptions of methods, heads, datasets and backbones.

python studies/catalogue.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pages import write

from bench.plugins import registry

PAGE = Path(__file__).resolve().parents[1] / "docs" / "catalogue.md"
FAMILIES = {  # bench.method.Family, and the headings of the page
    "confidence": "Confidence of one exit",
    "agreement": "Agreement of exits",
    "calibrated": "Calibrated confidence",
    "learned": "Learned gates and schedules",
    "ensemble": "Ensembles of exits",
    "heads": "Rules on heads trained for them",
    "risk": "Risk control",
    "joint": "Gates trained jointly with heads",
}


def tables() -> dict[str, str]:
    """Return the tables of the page by name, in Markdown; only what exitbench itself provides."""
    others = {kind: _names(kind) for kind in ("heads", "datasets", "backbones")}
    return {"methods": methods(), **others}


def methods() -> str:
    """Return one table per family: what each method computes, its parameters, its source and how it was checked."""
    loaded = [p.load() for p in registry.plugins("methods").values() if p.own]
    parts = []
    for family, title in FAMILIES.items():
        rows = [_method(cls) for cls in loaded if cls.fidelity.family == family]
        head = ["| method | what it computes | source | implementation |", "|---|---|---|---|"]
        parts.append("\n".join([f"### {title}", "", *head, *rows]))
    return "\n\n".join(parts)


def _method(cls: type) -> str:
    source = cls.fidelity
    fields = ", ".join(f"`{f.name}`" for f in dataclasses.fields(cls.Config))
    names = source.authors.split(", ")
    authors = source.authors if len(names) < 4 else f"{names[0]} et al."
    cited = f"{authors}, {source.venue} {source.year}" if source.link else "exitbench"
    link = f"[{cited}]({source.link})" if source.link else cited
    return f"| `{cls.name}` | {_text(cls.__doc__)} Parameters: {fields}. | {link} | {source.basis} |"


def _names(kind: registry.Kind) -> str:
    rows = [f"| `{p.name}` | {_text(p.describe()[0])} |" for p in registry.plugins(kind).values() if p.own]
    return "| name | what it is |\n|---|---|\n" + "\n".join(rows)


def _text(docstring: str | None) -> str:
    """Return the first line, safe in a cell of a table."""
    return (docstring or "").strip().partition("\n")[0].replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
