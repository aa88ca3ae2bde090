"""Accepted code, by digest: it gives the same numbers as other code of the same version.

`python -m bench.trials.accepted` adds the current code to the list.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.trials.record import Point

Kind = Literal["methods", "heads", "references"]
HEADER = "# Code that makes the numbers of its version: kind, name, version, digest (see bench/trials/accepted.py).\n"


class Code(NamedTuple):
    """The code of one method, head recipe or reference. As text it is a line of the list."""

    kind: Kind
    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        return " ".join(map(str, self))


def made_by_other_code(point: Point) -> bool:
    """Return whether a record was made by other code of the same version: neither accepted nor what would run now.

    Code without a version is part of the record's id, and code that is not installed cannot be compared: False.
    """
    return not all(_is_accepted(code) for code in codes_of(point))


def codes_of(point: Point) -> list[Code]:
    """Return the versioned code behind a point: its method's or reference's, and that of each head recipe."""
    own: Kind = "methods" if point.kind == "method" else "references"
    heads: list[tuple[Kind, str, int | str]] = [("heads", parse(text).name, v) for text, v in point.heads.items()]
    made_by = zip([(own, point.method, point.version), *heads], point.code.split("-"), strict=False)
    return [Code(kind, name, version, code) for (kind, name, version), code in made_by if isinstance(version, int)]


@cache
def _is_accepted(code: Code) -> bool:
    current = None if code in accepted() else current_code(code.kind, code.name)
    return current is None or current.version != code.version or current == code


@cache
def accepted() -> tuple[Code, ...]:
    """Return the code in the list, the oldest first for each name and version."""
    lines = (line.split() for line in _file().read_text().splitlines() if not line.startswith("#"))
    return tuple(Code(kind, name, int(version), digest) for kind, name, version, digest in lines)  # type: ignore[arg-type]


def current_code(kind: Kind, name: str) -> Code | None:
    """Return the code that would run under a name; None if nothing of this name is installed, or it has no version."""
    from bench.trials import references
    from bench.trials.code import code_digest
    from bench.trials.identity import stated_version

    if kind == "references":
        return Code(kind, name, references.VERSIONS[name], code_digest(references.MADE_BY[name]))
    try:
        cls = registry.load(kind, name)
    except UserError:
        return None
    version = stated_version(cls)
    return None if version is None else Code(kind, name, version, code_digest(cls))


def current() -> list[Code]:
    """Return the code of all methods, head recipes and references of exitbench."""
    from bench.trials import references

    found: list[Code | None] = [current_code("references", name) for name in references.VERSIONS]
    for kind in ("methods", "heads"):
        plugins = registry.plugins(kind)
        found += [current_code(kind, name) for name, p in plugins.items() if p.own]
    return [code for code in found if code is not None]


def accept() -> list[Code]:
    """Add the current code to the list, and return what was not in it before."""
    new = [code for code in current() if code not in accepted()]
    order = get_args(Kind)
    lines = sorted([*accepted(), *new], key=lambda code: (order.index(code.kind), code.name, code.version))
    _file().write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return new


def _file() -> Path:
    return Path(str(files("bench.methods") / "digests.txt"))


if __name__ == "__main__":
    for code in accept():
        print(code)
