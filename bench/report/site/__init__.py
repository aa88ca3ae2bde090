"""The site of a report: static pages that need no network, made from the same objects as tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.report.context import Report
    from bench.report.formats.table import Table


def files(
    report: Report,
    tables: Mapping[str, Sequence[Table]],
    figures: Mapping[str, Iterable[Any]],
    there: Collection[str],
) -> dict[str, bytes]:
    """Return the site's files by their paths within the report; see `bench.report.site.pages.files`."""
    from bench.report.site.pages import files as make

    return make(report, tables, figures, there)
