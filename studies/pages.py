"""What the pages that studies write have in common: their tables, between markers, and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping


def write(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with its tables written again, each between `<!-- table NAME -->` and `<!-- end -->`."""
    for name, table in tables.items():
        block = f"<!-- table {name} -->\n\n{table}\n\n<!-- end -->"
        page, count = re.subn(rf"<!-- table {name} -->\n.*?<!-- end -->", lambda _: block, page, flags=re.S)  # noqa: B023
        assert count == 1, f"The page has no table '{name}'."
    return page


def signed(value: float) -> str:
    """Return accuracy as points with a sign."""
    return f"{100 * value:+.2f}".replace("-", "−")
