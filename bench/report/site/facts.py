"""What numbers depend on (splits, digests, versions, hardware), and the meaning of flags."""

from __future__ import annotations

from collections import Counter

from bench.report.context import CellReport
from bench.report.site.words import percent
from bench.report.summary import Report
from bench.system.text import counted
from bench.trials.folders import without_paths

FLAGS = (
    ("limit", "A smoke run on a few samples per split. Its numbers are not comparable; left out across settings."),
    (
        "seen",
        "The backbone’s weights have seen the training set, so val and cal come from the test set. "
        "Left out across settings.",
    ),
    ("variant", "The images are not the official ones, e.g. recompressed. Compare only within the setting."),
    (
        "few seeds",
        "Fewer than 6 seeds: intervals, but no ranks or p-values. With 1 seed, intervals cover only test samples.",
    ),
    ("quality", "The setting fails a check of whether it can tell methods apart; left out across settings."),
    ("no samples", "The records have no per-sample outcomes, so intervals cover only seeds."),
    ("no static", "Some seeds have no static exits, so there is no static hull to compare with."),
    ("no oracle", "There is no oracle, and therefore no regret."),
    ("not run", "A gap: the operating point has not been run. A method with gaps has no rank."),
    ("failed", "A gap: the run ended with an error, which is stored in the record."),
    ("timeout", "A gap: the run took longer than allowed."),
    ("infeasible", "The method reports that it cannot meet this budget. This is an answer, not a gap."),
    ("collapsed", "More than 95 % of the samples leave at one exit."),
    ("note", "A note that the method wrote, e.g. unreachable: no parameter value spends the whole budget."),
    ("tuned", "The parameters were chosen by `bench tune`."),
    ("older", "Older records of the same operating point were left out."),
    ("versions", "Records of different versions of the method’s code are mixed."),
    ("other code", "Made by other code of the same version; `bench run --rerun changed` runs these points again."),
    ("published", "Records from a published store, shown beside your own."),
)

SPLITS = (
    ("train", "fits heads and gates"),
    ("val", "thresholds, early stopping, choice of parameters"),
    ("cal", "conformal quantiles, which points are on a curve, the choice of the baseline; no method sees it"),
    ("test", "scores only"),
)


def cell_facts(report: CellReport) -> list[tuple[str, str]]:
    """Return the data, backbone, digests and grid of a setting as (name, value) pairs."""
    cell, found = report.cell, report.statistics
    budgets = {p.budget for m in found.methods for p in m.points if p.budget is not None}
    return [
        ("Dataset", without_paths(cell.dataset)),
        (
            f"{cell.modality.title()}s",
            f"{cell.dataset_variant}: not the official ones" if cell.dataset_variant else "official",
        ),
        ("Dataset digest", cell.dataset_digest),
        ("Backbone", without_paths(cell.backbone)),
        ("Image size" if cell.modality == "image" else "Mean length", cell.size),
        ("Exits", ", ".join(cell.exit_names)),
        ("MACs of the plain backbone", ", ".join(f"{m:,}" for m in sorted({r.full_macs for r in report.records}))),
        ("Feature bank digest", cell.bank_digest),
        ("Protocol", cell.protocol_version),
        ("Limit", "none" if cell.limit is None else counted(cell.limit, cell.modality) + " per split"),
        ("Test samples", ", ".join(f"{s:,}" for s in found.samples) or "–"),
        ("Seeds", ", ".join(map(str, found.seeds))),
        ("Budgets", ", ".join(f"{b:g}" for b in sorted(budgets)) or "–"),
        ("Records", f"{len(report.records):,}"),
        ("Cost window", f"{percent(found.window.low)} to {percent(found.window.high)} of MACs"),
        ("Hypervolume reference", f"cost {found.reference.cost:g}, accuracy {found.reference.accuracy:.4g}"),
        ("Baseline", _baseline(report)),
    ]


def _baseline(report: CellReport) -> str:
    chosen = report.statistics.baseline
    if chosen is None:
        return "none: no complete rule on shared heads"
    return f"{chosen.label}, {chosen.how}"


def flags_found(report: Report) -> dict[str, int]:
    """Count the settings, and methods in settings, that have each kind of flag."""
    found: Counter[str] = Counter()
    for cell in report.cells:
        for held in (cell.statistics.flags, *(m.flags for m in cell.statistics.methods)):
            found.update({flag.kind for flag in held})
    return dict(found)


def provenance(report: Report) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return the provenance of the records: (fact, [(value, number of records)])."""
    return [(key, [(without_paths(v), n) for v, n in values.items()]) for key, values in report.provenance.items()]


def codes(report: Report) -> list[tuple[str, str, int]]:
    """Return the digests of the code that made each method's records: (method, digest, number of records)."""
    found: Counter[tuple[str, str]] = Counter()
    for cell in report.cells:
        for label, digests in cell.codes.items():
            found.update({(label, digest): number for digest, number in digests.items()})
    return [(label, digest, number) for (label, digest), number in sorted(found.items())]
