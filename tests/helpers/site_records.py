"""Small made-up records for the site: two settings, a method with gaps, and names that mean harm."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.bank.cell import Cell
from bench.report.condense import summarised
from bench.report.context import CellReport, cell_reports
from bench.report.formats import csv
from bench.report.site import files, setting_page
from bench.report.site.downloads import beside as links
from bench.report.summary import report_of
from bench.report.tables import cell_tables, overall_tables
from bench.stats.resample import BootstrapConfig
from bench.trials.record import Record, record_id
from tests.helpers import records as made_up
from tests.helpers.records import COSTS, at, changed

EVIL = "<script>alert(1)</script>"
ESCAPES = "</script><img src=x onerror=alert(2)>\u2028 & ${x} {{ y }}"
METHODS = ("jeidnn", "msdnet_thresh", "jeidnn[preset=paper]", "entropy_thresh", "pcee", "=gaps", EVIL)
SAMPLES = 160
BOOTSTRAP = BootstrapConfig(draws=200, sample_draws=50)


def make_report(methods: Sequence[str] = METHODS, seeds: Sequence[int] = (0, 1, 2)) -> list[CellReport]:
    """Make reports of two settings: all methods on one, two of them on the other."""
    return cell_reports(records(methods, seeds), BOOTSTRAP)


def records(methods: Sequence[str] = METHODS, seeds: Sequence[int] = (0, 1, 2)) -> Iterator[Record]:
    yield from cell_records(cell("resnet18"), methods, seeds)
    yield from cell_records(cell(f"evil {ESCAPES}", limit=100), methods[:2], seeds)


def cell(backbone: str, **known: object) -> Cell:
    names = (*(f"stage {k}" for k in range(len(COSTS) - 1)), ESCAPES)
    digests = {"dataset_digest": "d" * 64, "bank_digest": "b" * 16}
    return made_up.cell(dataset="cifar100", backbone=backbone, exit_names=names, **digests, **known)


def cell_records(where: Cell, methods: Sequence[str], seeds: Sequence[int]) -> list[Record]:
    found = made_up.records(methods, seeds, samples=SAMPLES, where=where)
    found = [r for r in found if not at("=gaps", 0.5)(r)]
    found = changed(found, at(EVIL, 0.3), status="failed", reason=f"it said {ESCAPES}")
    return [_harmful(r) for r in found]


def _harmful(record: Record) -> Record:
    """Let parameters and provenance have names that mean harm."""
    params = {"heads": "plain", "preset": record.point.label, "rate": 0.1, "evil": ESCAPES}
    point = record.point.model_copy(update={"params": params} if record.point.kind == "method" else {})
    provenance = record.provenance | {"cpu": EVIL, "packages": {"torch": "2.13.0"}}
    own = {"id": record_id(record.cell, point), "point": point, "provenance": provenance}
    return record.model_copy(update=own)


@dataclass(frozen=True)
class Picture:
    """What a figure of the report has."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]


def picture() -> Picture:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200.4 100"><rect width="200" height="100"/></svg>'
    return Picture("accuracy", f"Accuracy {EVIL}", ESCAPES, {"accuracy.svg": svg, "accuracy.csv": b"a,b\n1,2\n"})


def shuffled(found: list[Record]) -> list[Record]:
    return sorted(found, key=lambda r: hashlib.sha256(r.id.encode()).hexdigest())


def made(cells: Sequence[CellReport], *, beside: bool = True) -> dict[str, bytes]:
    """The site of these settings, beside the tables' data and one picture of each; these are written if `beside`."""
    found: dict[str, bytes] = {}
    summaries = []
    for cell in cells:
        tables = cell_tables(cell)
        there: dict[str, bytes] = {}
        if beside:
            there = {f"{cell.folder}/tables/{t.name}.csv": csv.render(t).encode() for t in tables}
            there |= {f"{cell.folder}/figures/{name}": content for name, content in picture().files.items()}
        found |= there | setting_page(cell, tables, [picture()], there)
        summaries.append(summarised(cell, links(there, cell.folder, [*tables, picture()])))
    report = report_of(summaries, BOOTSTRAP)
    return found | files(report, overall_tables(report), [], [])
