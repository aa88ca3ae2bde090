"""Make the site of a report: overview, settings, methods, protocol, downloads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from bench.report.context import CellReport
from bench.report.formats.table import Table
from bench.report.site import facts, methods
from bench.report.site.about import about, as_html
from bench.report.site.downloads import beside, records_csv, size
from bench.report.site.finder import finder
from bench.report.site.forest import forest
from bench.report.site.grid import Grid, grids
from bench.report.site.headline import answers
from bench.report.site.names import method_page, method_records, setting_policy, setting_records
from bench.report.site.names import setting_page as page_of_setting
from bench.report.site.offers import offers
from bench.report.site.plot import plot, series
from bench.report.site.render import assets, methods_js, page
from bench.report.summary import Report

FIRST = 6  # methods of a setting on the overview
TABS = {  # tabs of a setting's page and their tables; None: all other tables
    "Leaderboard": ("leaderboard",),
    "Budgets": ("budgets", "costs"),
    "Uncertainty": ("uncertainty", "longtail"),
    "More tables": None,
}
Links = Mapping[str, str]


def setting_page(
    report: CellReport, tables: Sequence[Table], figures: Iterable[Any], there: Collection[str]
) -> dict[str, bytes]:
    """Return the page of a setting, and its exported policies, by their paths within the report.

    They depend only on this setting.

    there: paths of the report's other files; the page links to tables and figures among them, and shows the figures.
    """
    cell, folder, held = report.statistics, report.folder, list(figures)
    data, links = plot(report), {m.label: method_page(m.label) for m in report.statistics.methods}
    pictures, drawn = beside(there, folder, held), {f.name: f for f in held}
    made = _page(
        "setting.html",
        page_of_setting(folder),
        report.name,
        len(report.records),
        links,
        plots=bool(data["views"]),
        cell=report.cell,
        name=report.name,
        flags=cell.flags,
        quality=cell.quality,
        answers=answers(cell),
        forest=forest(cell, report.looks),
        data=data,
        series=series(report),
        finder=[finder(report)],
        tabs=tabs(grids(tables, links)),
        records_csv=setting_records(folder),
        pictures=[(f, d, size(f)) for d in pictures if d.path("svg") and (f := drawn[d.name])],
        downloads=[*beside(there, folder, tables), *pictures],
        offers=offers(report),
        facts=facts.cell_facts(report),
    )
    copied = {setting_policy(folder, policy.path.name): policy.path.read_bytes() for policy in report.policies}
    return {f"site/{name}": content for name, content in {page_of_setting(folder): made, **copied}.items()}


def tabs(found: Sequence[Grid]) -> list[tuple[str, list[Grid]]]:
    """Return the tables of a setting by tab of its page; tabs without tables are left out."""
    named = {name for names in TABS.values() for name in names or ()}
    held = (
        (title, [g for g in found if (g.name in names if names else g.name not in named)])
        for title, names in TABS.items()
    )
    return [(title, part) for title, part in held if part]


def files(report: Report, tables: Sequence[Table], figures: Iterable[Any], there: Collection[str]) -> dict[str, bytes]:
    """Return the site's other files by their paths within the report (`site/index.html`, …); same input, same bytes.

    tables, figures: those across settings. there: paths of the report's other files across settings.
    """
    labels = {m.label: m.name for c in report.cells for m in c.statistics.methods}
    made = {f"assets/{name}": content for name, content in assets().items()}
    made["assets/methods.js"] = methods_js({label: about(name).source for label, name in labels.items()})
    made |= _Site(report, tables, figures, there).pages()
    return {f"site/{name}": content for name, content in sorted(made.items())}


class _Site:
    def __init__(self, report: Report, tables: Sequence[Table], figures: Iterable[Any], there: Collection[str]) -> None:
        self.report, self.tables = report, tables
        self.shared = [*beside(there, "", tables), *beside(there, "", figures)]
        self.links = {c.folder: page_of_setting(c.folder) for c in report.cells}
        self.links |= {m.label: method_page(m.label) for c in report.cells for m in c.statistics.methods}

    def pages(self) -> dict[str, bytes]:
        """Return all pages, and the records as CSV, by their paths."""
        made = {"index.html": self._overview(), "protocol.html": self._protocol(), "downloads.html": self._downloads()}
        held = methods.occurrences(self.report)
        made["methods/index.html"] = self._methods(held)
        made |= {method_page(label): self._method(label, held) for label in held}
        made |= {setting_records(c.folder): records_csv([c]) for c in self.report.cells}
        made |= {method_records(label): records_csv([p.cell for p in held[label]], label) for label in held}
        return made | {"records.csv": records_csv(self.report.cells)}

    def _overview(self) -> bytes:
        cells = [(c, forest(c.statistics, c.looks, FIRST)) for c in self.report.cells]
        shared = grids(self.tables, self.links)
        left_out = [pair for track in self.report.tracks for pair in track.across.left_out]
        found = [c.finder for c in self.report.cells]
        known = {"cells": cells, "finder": found, "grids": shared, "left_out": left_out}
        return self._page("index.html", "index.html", "Overview", **known)

    def _methods(self, held: Mapping[str, Sequence[methods.Place]]) -> bytes:
        lines = []
        for label, where in held.items():
            known = about(where[0].method.name)
            summary = (known.text or "").partition("\n\n")[0]
            lines.append((label, as_html(summary), known, where))
        return self._page("methods.html", "methods/index.html", "Methods", lines=lines)

    def _method(self, label: str, held: Mapping[str, Sequence[methods.Place]]) -> bytes:
        where = held[label]
        name = where[0].method.name
        known = about(name)
        first, _, rest = (known.text or "").partition("\n\n")
        twins = [other for other, there in held.items() if there[0].method.name == name and other != label]
        return self._page(
            "method.html",
            method_page(label),
            label,
            label=label,
            name=name,
            about=as_html(first) if first else None,
            more=as_html(rest),
            source=known,
            parameters=methods.parameters(where),
            twins=twins,
            grids=grids(methods.tables(where), self.links),
            records_csv=method_records(label),
            policies=methods.exports(where),
        )

    def _protocol(self) -> bytes:
        return self._page(
            "protocol.html",
            "protocol.html",
            "Protocol and provenance",
            cells=self.report.cells,
            bootstrap=self.report.bootstrap,
            flags=facts.FLAGS,
            found=facts.flags_found(self.report),
            splits=facts.SPLITS,
            provenance=facts.provenance(self.report),
            codes=facts.codes(self.report),
        )

    def _downloads(self) -> bytes:
        groups = [(c.name, setting_records(c.folder), c.downloads) for c in self.report.cells]
        known = {"groups": groups, "shared": self.shared}
        return self._page("downloads.html", "downloads.html", "Downloads", **known)

    def _page(self, template: str, path: str, title: str, **context: Any) -> bytes:
        return _page(template, path, title, self.report.records, self.links, **context)


def _page(template: str, path: str, title: str, records: int, links: Links, **context: Any) -> bytes:
    """Render a page with the context that all pages share; `root` is the path from the page to the site's root."""
    root = "../" * (len(PurePosixPath(path).parts) - 1)
    known: dict[str, Any] = {"plots": False, "finder": [], "records": records, "links": links}
    return page(template, root=root, path=path, title=title, **(known | context))
