"""Compare every exit rule on every kind of heads: the table and the figure of docs/findings.md.

    python studies/heads.py          # from docs/findings/heads.csv
    python studies/heads.py STORE    # make that file again, from the records of a store; docs/findings.md says of which

The file has a row for each setting, rule and kind of heads: own gain, and own gain minus that of one threshold on plain
heads, with 95 % intervals and Holm's p.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from pages import signed, write

import bench
from bench.plugins.spec import parse
from bench.report.figures.file import render
from bench.report.style import settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "findings.md"
DATA = ROOT / "docs" / "findings" / "heads.csv"
FIGURE = ROOT / "docs" / "findings" / "heads.png"
SETTINGS = {
    "banking77/minilm_l6": "Banking77 × MiniLM",
    "caltech101/efficientnet_lite0": "Caltech-101 × EfficientNet-Lite0",
}
HEADS = {"plain": "linear", "plain[width=128]": "MLP", "calibrated": "calibrated", "boosted": "boosted"}
BASE = "global_thresh"
COLUMNS = ["own", "plain_difference"]
KEPT = [f"{name}{end}" for name in COLUMNS for end in ("", "_low", "_high")] + ["plain_p_holm", "seeds"]


def collect(store: Path) -> pd.DataFrame:
    """Return the own gains of a store's methods by setting, rule and heads, in points."""
    board = bench.leaderboard(store)
    board = board[board["setting"].isin(SETTINGS) & board["rank"].notna()]
    labels = [parse(label) for label in board["method"]]
    named = {
        "setting": board["setting"],
        "rule": [label.name for label in labels],
        "heads": [str(label.params.get("heads", "plain")) for label in labels],
    }
    numbers = board[KEPT].copy()
    numbers[KEPT[:6]] *= 100
    return pd.DataFrame(named).join(numbers.round(4)).sort_values(["setting", "rule", "heads"])


def table(found: pd.DataFrame) -> str:
    """Return for each kind of heads the mean own gain over rules, the best rule, and one threshold, by setting."""
    parts = " | ".join(f"{name}: mean of rules | best rule | one threshold" for name in SETTINGS.values())
    lines = [f"| heads | {parts} |", "|---|" + "--:|" * (3 * len(SETTINGS))]
    for heads, title in HEADS.items():
        cells = []
        for setting in SETTINGS:
            rows = found[(found["setting"] == setting) & (found["heads"] == heads)].set_index("rule")["own"]
            best = rows.idxmax()
            cells += [signed(rows.mean() / 100), f"`{best}` {signed(rows[best] / 100)}", signed(rows[BASE] / 100)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw own gain minus that of one threshold on linear heads, rules by heads; bold where Holm's p is below 0.05."""
    with plt.rc_context(settings()):
        figure, panels = plt.subplots(1, len(SETTINGS), figsize=(8.4, 6.4), layout="constrained", sharey=True)
        order = found.groupby("rule")["plain_difference"].mean().fillna(0).sort_values(ascending=False).index
        bound = found["plain_difference"].abs().quantile(0.9)
        for axes, (setting, title) in zip(panels, SETTINGS.items(), strict=True):
            wide = found[found["setting"] == setting].set_index(["rule", "heads"])
            cells = pd.MultiIndex.from_product([order, HEADS])
            values = wide["plain_difference"].reindex(cells).fillna(0).to_numpy().reshape(-1, len(HEADS))  # base: 0
            image = axes.imshow(values, cmap="PuOr", vmin=-bound, vmax=bound, aspect="auto")
            for y, rule in enumerate(order):
                for x, heads in enumerate(HEADS):
                    value, sure = values[y, x], wide.loc[(rule, heads), "plain_p_holm"] < 0.05
                    colour = "white" if abs(value) > 0.75 * bound else "black"
                    weight = "bold" if sure else "normal"
                    text = "base" if (rule, heads) == (BASE, "plain") else f"{value:+.2f}".replace("-", "−")
                    axes.text(x, y, text, ha="center", va="center", color=colour, weight=weight, fontsize=8)
            axes.set_xticks(range(len(HEADS)), list(HEADS.values()))
            axes.set_yticks(range(len(order)), order)
            axes.set_title(title)
            axes.grid(visible=False)
        figure.colorbar(image, ax=panels, label="own gain, points, minus one threshold on linear heads", aspect=40)
        path.write_bytes(render(figure, "png"))
    plt.close(figure)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        collect(Path(sys.argv[1])).to_csv(DATA, index=False)
    rows = pd.read_csv(DATA)
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), {"heads": table(rows)}), encoding="utf-8")
    draw(rows, FIGURE)
