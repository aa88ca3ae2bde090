"""Write the tables of docs/jeidnn.md again, from the records of its variants in studies/records.

python studies/jeidnn.py
"""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path

from bench.stats.load import from_records
from bench.stats.results import CellStatistics, Comparison
from bench.stats.summary import summarise
from bench.trials.stores import open_store, read_all

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "jeidnn.md"
STORE = ROOT / "studies" / "records"
SETTINGS = {  # and what the page calls them
    "banking77/minilm_l6": "Banking77 × MiniLM",
    "cifar100lt/efficientnet_lite0_tuned_cifar100lt": "CIFAR-100-LT × EfficientNet-Lite0, tuned",
}
OURS = "jeidnn"
GROUPS = {
    "ours, one change": (
        "jeidnn[scheme=subsequent]",
        "jeidnn[objective=zeroOne]",
        "jeidnn[pos_weight=cumulative]",
        "jeidnn[gate_data=train]",
        "jeidnn[cost=layers]",
    ),
    "the authors' targets, further changes": (
        "jeidnn[scheme=subsequent,reading=clipped]",
        "jeidnn[scheme=subsequent,pos_weight=released]",
    ),
    "paper and released code": (
        "jeidnn[preset=paper]",
        "jeidnn[preset=released]",
    ),
}
VARIANTS = (OURS, *(label for group in GROUPS.values() for label in group))


@cache
def statistics(setting: str) -> CellStatistics:
    """Return the statistics of a setting's variants, compared with `ours` on the seeds that all of them have."""
    wanted = {"static", "oracle", *VARIANTS}
    held = [r for r in read_all(open_store(STORE / setting)) if r.point.label in wanted]
    return summarise(from_records(held, name=SETTINGS[setting]), baseline=OURS)


def variants() -> str:
    """Return own gain, its difference to that of ours, and the largest realised cost, by variant and setting."""
    heads = " | ".join(f"{name}: own gain | minus ours | reach" for name in SETTINGS.values())
    lines = [f"| variant | {heads} |", "|---|" + "--:|" * (3 * len(SETTINGS))]
    for group, labels in {"": (OURS,), **GROUPS}.items():
        lines += [f"| *{group}* |" + " |" * (3 * len(SETTINGS))] if group else []
        for label in labels:
            cells = [cell for setting in SETTINGS for cell in _cells(statistics(setting), label)]
            lines.append(f"| `{label}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(found: CellStatistics, label: str) -> tuple[str, str, str]:
    method = found.method(label)
    reach = max(point.cost.mean for point in method.points if not math.isnan(point.cost.mean))
    return points(method.curve.own.value), difference(method.comparison), f"{reach:.2f}"


def difference(comparison: Comparison | None) -> str:
    """Return a difference in points with its 95 % interval, bold where that excludes zero."""
    if comparison is None:
        return ""
    e = comparison.difference
    shown = f"{points(e.value)} [{points(e.low)}, {points(e.high)}]"
    return f"**{shown}**" if e.low * e.high > 0 else shown


def points(value: float) -> str:
    """Return accuracy as points with a sign."""
    return f"{100 * value:+.2f}".replace("-", "−")


def write(page: str) -> str:
    """Return the page with its table written again."""
    block = f"<!-- table variants -->\n{variants()}\n<!-- end -->"
    page, count = re.subn(r"<!-- table variants -->\n.*?<!-- end -->", lambda _: block, page, flags=re.S)
    assert count == 1, f"{PAGE} has no table 'variants'"
    return page


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
