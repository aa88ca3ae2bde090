"""Compare every exit rule on every kind of heads: the tables and the figure in docs/findings.md.

    python studies/heads.py          # from docs/findings/heads.csv
    python studies/heads.py STORE    # make that file again from the records of a store (see the page)

The file has a row for each setting, rule and kind of heads: own gain, and own gain minus that of one threshold on
linear heads, with 95 % intervals, and Holm's p of this difference.
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
KEPT = [f"{name}{end}" for name in COLUMNS for end in ("", "_low", "_high")]


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
    numbers = (100 * board[KEPT]).round(4).assign(plain_p_holm=board["plain_p_holm"].round(4))
    return pd.DataFrame(named).join(numbers).sort_values(["setting", "rule", "heads"])


def gains(found: pd.DataFrame) -> str:
    """Return own gains on each kind of heads: the mean of all rules, one threshold, and the best rule."""
    parts = " | ".join(
        f"{name}: mean of rules | one threshold | minus linear | best rule" for name in SETTINGS.values()
    )
    lines = [f"| heads | {parts} |", "|---|" + "--:|--:|--:|---|" * len(SETTINGS)]
    for heads, title in HEADS.items():
        cells = []
        for setting in SETTINGS:
            rows = found[(found["setting"] == setting) & (found["heads"] == heads)].set_index("rule")
            own, one = rows["own"], rows.loc[BASE]
            difference = f"{points(one['plain_difference'])} [{points(one['plain_difference_low'])}, "
            difference += f"{points(one['plain_difference_high'])}]"
            cells += [points(own.mean()), points(own[BASE]), "–" if heads == "plain" else difference]
            cells.append(f"`{own.idxmax()}` {points(own.max())}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shares(found: pd.DataFrame) -> str:
    """Return the shares of the variance of own gain that rules, heads, and only pairs of both explain.

    The last column is the lowest rank correlation (Spearman) of the rules' own gains on two kinds of heads.
    """
    lines = ["| setting | rules | heads | only pairs | lowest rank correlation |", "|---|--:|--:|--:|--:|"]
    for setting, title in SETTINGS.items():
        own = found[found["setting"] == setting].set_index(["rule", "heads"])["own"].unstack()  # noqa: PD010
        values = own.to_numpy()
        mean = values.mean()
        total = ((values - mean) ** 2).sum()
        rules = values.shape[1] * ((values.mean(1) - mean) ** 2).sum()
        heads = values.shape[0] * ((values.mean(0) - mean) ** 2).sum()
        cells = [f"{100 * part / total:.0f} %" for part in (rules, heads, total - rules - heads)]
        lines.append(f"| {title} | {' | '.join(cells)} | {own.corr('spearman').to_numpy().min():.2f} |")
    return "\n".join(lines)


def points(value: float) -> str:
    """Return points with a sign."""
    return signed(value / 100)


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw own gain minus that of one threshold on linear heads, rules by heads; bold where Holm's p is below 0.05."""
    with plt.rc_context(settings()):
        figure, panels = plt.subplots(1, len(SETTINGS), figsize=(8.4, 6.4), layout="constrained", sharey=True)
        order = found.groupby("rule")["plain_difference"].mean().sort_values(ascending=False).index
        bound = found["plain_difference"].abs().quantile(0.9)
        for axes, (setting, title) in zip(panels, SETTINGS.items(), strict=True):
            wide = found[found["setting"] == setting].set_index(["rule", "heads"])
            cells = pd.MultiIndex.from_product([order, HEADS])
            values = wide["plain_difference"].reindex(cells).to_numpy().reshape(-1, len(HEADS))
            image = axes.imshow(values, cmap="PuOr", vmin=-bound, vmax=bound, aspect="auto")
            for y, rule in enumerate(order):
                for x, heads in enumerate(HEADS):
                    value = values[y, x]
                    sure = (rule, heads) in wide.index and wide.loc[(rule, heads), "plain_p_holm"] < 0.05
                    text = "base" if (rule, heads) == (BASE, "plain") else f"{value:+.2f}".replace("-", "−")
                    colour = "white" if abs(value) > 0.75 * bound else "black"
                    weight = "bold" if sure else "normal"
                    axes.text(x, y, text, ha="center", va="center", color=colour, weight=weight, fontsize=8)
            axes.set_xticks(range(len(HEADS)), list(HEADS.values()))
            axes.set_yticks(range(len(order)), order)
            axes.set_title(title)
            axes.grid(visible=False)
        figure.colorbar(
            image, ax=panels, label="own gain minus that of one threshold on linear heads, points", aspect=40
        )
        path.write_bytes(render(figure, "png"))
    plt.close(figure)


def tables(found: pd.DataFrame) -> dict[str, str]:
    """Return the tables of the page by name, in Markdown."""
    return {"heads": gains(found), "shares": shares(found)}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        collect(Path(sys.argv[1])).to_csv(DATA, index=False)
    rows = pd.read_csv(DATA)
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), tables(rows)), encoding="utf-8")
    draw(rows, FIGURE)
