"""Write the figures of a store for a paper: `bench report --style paper`. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import UserError, nearest


def write(stores: Sequence[Path], out: Path, only: str | None, tell: Callable[[str], None]) -> list[Path]:
    """Write the figures of every setting of a store, or of the settings in `only`, and return their paths.

    Raises UserError for several stores, and for a name in `only` that no setting has.
    """
    if len(stores) > 1:
        raise UserError("--style paper reads one store. Give only one.")
    from bench.report.figures.paper import figures
    from bench.report.stored import folders, report_of

    known = folders(stores[0])
    wanted = [name for name in known if only is None or only.strip("/") in (name, name.partition("/")[0])]
    if not wanted:
        raise UserError(f"No record belongs to '{only}'.{nearest(str(only), known)}")
    written = []
    for name in wanted:
        for figure, content in figures(report_of(stores[0], name)).items():
            path = out / name / f"{figure}.pdf"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.append(path)
        tell(f"{name}: {out / name}")
    return written
