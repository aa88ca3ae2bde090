"""What numbers rest on: splits, digests, versions and hardware, and what marks and intervals mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bench.report.cells import without_paths
from bench.report.context import CellReport, Report
from bench.report.site.words import count, percent

MARKS = (
    ("limit", "A smoke run on a few images per split. Compares with nothing; left out across cells."),
    (
        "seen",
        "The backbone’s weights have seen the training set; val and cal come from the test set. Left out across cells.",
    ),
    ("variant", "The images are not the official ones, for instance compressed anew. Compare within the cell alone."),
    (
        "few seeds",
        "Fewer than 6 seeds: intervals, no p-values. With 1 seed the intervals cover test samples alone.",
    ),
    ("no samples", "Records without per-sample outcomes: intervals cover seeds alone."),
    ("no static", "No static exits for some seeds, so there is no hull to compare with."),
    ("no oracle", "No oracle, so there is no skill score."),
    ("not run", "A gap: an operating point that nobody has run. A method with gaps has no rank."),
    ("failed", "A gap: the run ended with an error, which the record holds."),
    ("timeout", "A gap: the run took longer than allowed."),
    ("infeasible", "The method says that it cannot meet this budget: an answer, not a gap."),
    ("collapsed", "More than 95 % of the samples leave at one exit."),
    ("note", "What a method says of itself, e.g. unreachable: no setting spends the whole budget."),
    ("older", "Older records of the same operating point were left out."),
    ("versions", "Records of different versions of the method’s code are mixed."),
    ("other code", "Made by other code of the same version; bench run --rerun changed runs these points again."),
)

SPLITS = (
    ("train", "fits heads and gates"),
    ("val", "thresholds, early stopping, choice of settings; membership of a frontier is decided here"),
    ("cal", "conformal quantiles and the choice of the baseline; no method sees it"),
    ("test", "scores alone"),
)


@dataclass(frozen=True)
class Facts:
    """What a cell rests on, as pairs to show."""

    name: str
    folder: str
    pairs: list[tuple[str, str]]


def cell_facts(report: CellReport) -> Facts:
    """Return data, backbone, digests and grid of a cell."""
    cell, found = report.cell, report.statistics
    first = report.records[0]
    sizes = sorted({r.outcomes.samples for r in report.records if r.outcomes})
    budgets = {p.budget for m in found.methods for p in m.points if p.budget is not None}
    pairs = [
        ("Dataset", without_paths(cell.dataset)),
        ("Images", f"{cell.dataset_variant}: not the official ones" if cell.dataset_variant else "official"),
        ("Dataset digest", first.cell.dataset_digest),
        ("Backbone", without_paths(cell.backbone)),
        ("Image size", f"{cell.image_size} px" if cell.image_size else "–"),
        ("Exits", ", ".join(first.cell.exit_names)),
        ("MACs of the plain backbone", ", ".join(f"{m:,}" for m in sorted({r.full_macs for r in report.records}))),
        ("Feature bank digest", cell.bank_digest),
        ("Protocol", cell.protocol),
        ("Limit", "none" if cell.limit is None else count(cell.limit, "image") + " per split"),
        ("Test samples", ", ".join(f"{s:,}" for s in sizes) or "–"),
        ("Seeds", ", ".join(map(str, found.seeds))),
        ("Budgets", ", ".join(f"{b:g}" for b in sorted(budgets)) or "–"),
        ("Records", f"{len(report.records):,}"),
        ("Cost window of the NAUC", f"{percent(found.window.low)} to {percent(found.window.high)} of MACs"),
        ("Hypervolume reference", f"cost {found.reference.cost:g}, accuracy {found.reference.accuracy:.4g}"),
        ("Baseline", _baseline(report)),
    ]
    return Facts(report.name, str(cell.folder), pairs)


def _baseline(report: CellReport) -> str:
    chosen = report.statistics.baseline
    if chosen is None:
        return "none: no complete rule on shared heads"
    return f"{chosen.label}, {chosen.how}"


def marks_found(report: Report) -> dict[str, int]:
    """Count the cells, and methods in cells, that carry each kind of mark."""
    found: Counter[str] = Counter()
    for cell in report.cells:
        marks = cell.statistics.marks
        for held in (marks.cell, *marks.methods.values()):
            found.update({mark.kind for mark in held})
    return dict(found)


def provenance(report: Report) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return facts of the records' making: (fact, [(value, records)])."""
    return [(key, [(without_paths(v), n) for v, n in values.items()]) for key, values in report.provenance.items()]


def sources(report: Report) -> list[tuple[str, str, int]]:
    """Return the digests of the code that made each method's records: (method, digest, records)."""
    found = Counter((r.point.label, r.point.code) for c in report.cells for r in c.records)
    return [(label, digest, number) for (label, digest), number in sorted(found.items())]
