"""The table of docs/jeidnn.md that is made from the committed records: presets on two backbones, one dataset.

    python studies/jeidnn_records.py [--results results] [--page docs/jeidnn.md]

Puts it between the markers `<!-- table records -->` and `<!-- end -->` of the page.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pandas as pd
from scipy import stats

from bench import load_records

ROOT = Path(__file__).resolve().parents[1]
BACKBONES = ("clip_vit_b16", "efficientnet_lite0")
METHODS = ("jeidnn", "jeidnn[preset=released]", "jeidnn[preset=paper]", "msdnet_thresh")
BUDGETS = (0.3, 0.5, 0.7, 0.9)


def estimate(values: pd.Series) -> str:
    """Write a mean in percent with the half width of its 95 % Student-t interval over seeds."""
    n = len(values)
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5 if n > 1 else float("nan")
    return f"{100 * values.mean():.2f} ± {100 * half:.2f}"


def table(results: Path) -> str:
    """Return the Markdown table: accuracy and realised cost at four budgets, per backbone and method.

    A budget that λ cannot spend gives the dearest operating point there is, hence the cost beside the accuracy.
    """
    frame = load_records(results)
    frame = frame[(frame["dataset"] == "cifar100lt") & (frame["status"] == "ok") & frame["method"].isin(METHODS)]
    frame = frame[frame["backbone"].isin(BACKBONES)]
    lines = ["| backbone | method | seeds | " + " | ".join(f"budget {b:g}" for b in BUDGETS) + " |"]
    lines.append("| --- | --- | ---: |" + " ---: |" * len(BUDGETS))
    for backbone, cell in frame.groupby("backbone", sort=True):
        for method in METHODS:
            rows = cell[cell["method"] == method]
            shown = []
            for budget in BUDGETS:
                at = rows[rows["budget"] == budget]
                cost = 100 * at["macs_fraction"].mean()
                shown.append(f"{estimate(at['accuracy'])} ({cost:.0f} %)" if len(at) else "–")
            cells = [str(backbone), f"`{method}`", str(rows["seed"].nunique()), *shown]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fill(page: str, made: str) -> str:
    """Put a table between the markers of a page."""
    pattern = r"(<!-- table records -->\n).*?(\n<!-- end -->)"
    return re.sub(pattern, lambda m: m[1] + made + m[2], page, count=1, flags=re.S)


def main() -> None:
    """Fill the page in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "jeidnn.md")
    args = parser.parse_args()
    args.page.write_text(fill(args.page.read_text(encoding="utf-8"), table(args.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
