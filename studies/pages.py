"""Replace tables between markers on a page, and format signed numbers, for the studies that write pages."""

from __future__ import annotations

import re
from collections.abc import Mapping


def write(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with its tables replaced, each between `<!-- table NAME -->` and `<!-- end -->`."""
    for name, table in tables.items():
        block = f"<!-- table {name} -->\n\n{table}\n\n<!-- end -->"
        page, count = re.subn(rf"<!-- table {name} -->\n.*?<!-- end -->", lambda _: block, page, flags=re.S)  # noqa: B023
        assert count == 1, f"The page has no table '{name}'."
    return page


def signed(value: float) -> str:
    """Return a difference of accuracies in points, with a sign."""
    return f"{100 * value:+.2f}".replace("-", "−")
