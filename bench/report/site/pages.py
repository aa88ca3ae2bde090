"""Make the site of a report: overview, cells, methods, protocol, downloads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from bench.report.context import CellReport, Report
from bench.report.formats.table import Table
from bench.report.site import facts, methods
from bench.report.site.about import as_html, docstring
from bench.report.site.downloads import beside, records_csv, size
from bench.report.site.forest import forest
from bench.report.site.grid import grid, grids
from bench.report.site.headline import answers
from bench.report.site.names import Places, places
from bench.report.site.plot import plot, series
from bench.report.site.render import assets, page

FIRST = 6  # methods of a cell on the overview
Tables = Mapping[str, Sequence[Table]]
Figures = Mapping[str, Iterable[Any]]


def files(report: Report, tables: Tables, figures: Figures, there: Collection[str]) -> dict[str, bytes]:
    """Return the site's files by their paths within the report (`site/index.html`, …); equal input, equal bytes.

    tables and figures: by the cell's folder (`dataset/backbone`), those across cells under ''. `there`: paths of the
    report's other files; tables and figures among them are linked, and figures shown.
    """
    made = {f"assets/{name}": content for name, content in assets().items()}
    made |= _Site(report, tables, figures, there).pages()
    return {f"site/{name}": content for name, content in sorted(made.items())}


class _Site:
    def __init__(self, report: Report, tables: Tables, figures: Figures, there: Collection[str]) -> None:
        self.report, self.tables, self.figures, self.there = report, tables, figures, frozenset(there)
        self.places: Places = places(report)
        self.links = self.places.methods | self.places.cells

    def pages(self) -> dict[str, bytes]:
        """Make all pages, and the records as CSV, by their paths."""
        made = {"index.html": self._overview(), "protocol.html": self._protocol(), "downloads.html": self._downloads()}
        made |= {self.places.cells[str(c.cell.folder)]: self._cell(c) for c in self.report.cells}
        held = methods.occurrences(self.report)
        made["methods/index.html"] = self._methods(held)
        made |= {self.places.methods[label]: self._method(label, held) for label in held}
        return made | {"records.csv": records_csv(self.report)}

    def _overview(self) -> bytes:
        cells = [(c, answers(c), forest(c, FIRST)) for c in self.report.cells]
        shared = grids(self.tables.get("", ()), self.links)
        across = self.report.across
        return self._page("index.html", "index.html", "Overview", cells=cells, grids=shared, across=across)

    def _cell(self, cell: CellReport) -> bytes:
        folder = str(cell.cell.folder)
        data = plot(cell)
        pictures = beside(self.there, folder, self.figures.get(folder, ()))
        drawn = {f.name: f for f in self.figures.get(folder, ())}
        shown = [(f, d, size(f)) for d in pictures if d.path("svg") and (f := drawn[d.name])]
        return self._page(
            "cell.html",
            self.places.cells[folder],
            cell.name,
            plots=bool(data["views"]),
            cell=cell,
            answers=answers(cell),
            forest=forest(cell),
            data=data,
            series=series(cell),
            grids=grids(self.tables.get(folder, ()), self.links),
            pictures=shown,
            downloads=[*beside(self.there, folder, self.tables.get(folder, ())), *pictures],
            facts=facts.cell_facts(cell),
        )

    def _methods(self, held: Mapping[str, Sequence[methods.Place]]) -> bytes:
        lines = []
        for label, where in held.items():
            about = docstring(where[0].method.name)
            summary = about.partition("\n\n")[0] if about else ""
            lines.append((label, as_html(summary), where))
        return self._page("methods.html", "methods/index.html", "Methods", lines=lines)

    def _method(self, label: str, held: Mapping[str, Sequence[methods.Place]]) -> bytes:
        where = held[label]
        name = where[0].method.name
        about = docstring(name)
        twins = [other for other, there in held.items() if there[0].method.name == name and other != label]
        return self._page(
            "method.html",
            self.places.methods[label],
            label,
            label=label,
            name=name,
            about=as_html(about) if about else None,
            settings=methods.settings(where),
            twins=twins,
            grids=grids(methods.tables(where), self.links),
            records=grid(methods.records(where), self.links),
        )

    def _protocol(self) -> bytes:
        return self._page(
            "protocol.html",
            "protocol.html",
            "Protocol and provenance",
            cells=[facts.cell_facts(c) for c in self.report.cells],
            marks=facts.MARKS,
            found=facts.marks_found(self.report),
            splits=facts.SPLITS,
            provenance=facts.provenance(self.report),
            sources=facts.sources(self.report),
        )

    def _downloads(self) -> bytes:
        groups = [(c.name, str(c.cell.folder)) for c in self.report.cells]
        found = [
            (name, beside(self.there, folder, [*self.tables.get(folder, ()), *self.figures.get(folder, ())]))
            for name, folder in [("All cells together", ""), *groups]
        ]
        return self._page("downloads.html", "downloads.html", "Downloads", groups=[(n, d) for n, d in found if d])

    def _page(self, template: str, path: str, title: str, **context: Any) -> bytes:
        """Render a page with what all pages know; `root` leads from the page to the site's root."""
        root = "../" * (len(PurePosixPath(path).parts) - 1)
        known: dict[str, Any] = {"plots": False, "report": self.report, "links": self.links}
        return page(template, root=root, path=path, title=title, **(known | context))
