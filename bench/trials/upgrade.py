"""Records of schema 1 and 2 as records of schema 3."""

from __future__ import annotations

from functools import cache
from typing import Any

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.trials.accepted import Kind, accepted
from bench.trials.identity import recipes_in
from bench.trials.record import Point, record_id


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Return a record's JSON values in schema 3.

    Methods, heads and references of exitbench get version 1 and the oldest code that is accepted for it, which is what
    made the records. Others keep their digest of source files as their code.
    """
    point = dict(data["point"])
    source = point.pop("source_digest").partition("-")[0]
    heads = point["params"].get("heads")
    recipes = _recipes(heads) if isinstance(heads, str) else ()
    kind: Kind = "methods" if point["kind"] == "method" else "references"
    own = _first_code(kind, point["method"])
    codes = {text: _first_code("heads", name) for text, name in recipes}
    point |= {
        "version": 1 if own else None,
        "heads": {text: 1 if code else "unknown" for text, code in codes.items()},
        "code": "-".join([own or source, *(code or "unknown" for code in codes.values())]),
        "exit": int(point["point"].partition("=")[2]) if point["method"] == "static" else None,
    }
    cell = Cell.model_validate(data["cell"])
    return data | {"schema_version": 3, "id": record_id(cell, Point.model_validate(point)), "point": point}


@cache
def _first_code(kind: Kind, name: str) -> str | None:
    return next((c.digest for c in accepted() if (c.kind, c.name, c.version) == (kind, name, 1)), None)


@cache
def _recipes(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((key, cls.name) for key, cls in recipes_in(text).items())  # type: ignore[attr-defined]
    except UserError:
        return ((text, text),)
