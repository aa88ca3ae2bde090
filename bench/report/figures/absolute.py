"""Accuracy against absolute cost, with all networks of a dataset on one axis.

The figure shows whether a large network that exits early is worth its cost.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from bench.report.figures.canvas import sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.style import OTHERS, settings
from bench.report.summary import CellSummary, Line, Report

WIDTH, ROW, ROOM = 9.2, 3.3, 52
MARKERS = "osD^vP*X"
COLUMNS = ["data", "setting", "series", "method", "point", "macs", "accuracy", "lead"]
SEEN = "-seen"  # end of a protocol under which the network has seen the training set


def absolute(report: Report) -> Drawing:
    """Draw static exits and the best method of each network over MACs, a panel per dataset with several networks."""
    data = absolute_data(report)
    panels = list(dict.fromkeys(data["data"]))
    things = f"{report.cells[0].modality}s"
    with mpl.rc_context(settings()):
        page = sheet(
            width=WIDTH,
            body=len(panels) * (ROW + 0.95),
            keys=[
                *("large: the whole network", "dashed: its static exits", "solid: its best method by own gain"),
                "grey: the best static exit of all networks",
            ],
        )
        places = page.grid(len(panels), 1, left=0.75, right=3.5, bottom=0.6, row=ROW, gap=(0.0, 0.95), top=0.3)
        for axes, panel in zip(places, panels, strict=True):
            _panel(axes, data[data["data"] == panel])
            axes.set_xlabel(f"mean cost of a test {things.removesuffix('s')}, million MACs")
            axes.set_title(panel, loc="left")
    caption = (
        "Costs are multiply-accumulates, heads and gates included. The legend compares each best method with the "
        "static exits of other networks that cost no more. Points are means over seeds."
    )
    if data["setting"].str.endswith(SEEN).any():
        caption += f" Networks marked {SEEN[1:]} are tested on half of the test {things}."
    return Drawing(page.figure, data, caption)


def _panel(axes: Axes, mine: pd.DataFrame) -> None:
    names = list(dict.fromkeys(mine["setting"]))
    colours = sns.color_palette("colorblind", len(names))
    best = frontier(mine)
    x, y = [*best["macs"] / 1e6, mine["macs"].max() / 1e6], [*best["accuracy"], best["accuracy"].iloc[-1]]
    axes.plot(x, y, drawstyle="steps-post", color=OTHERS, linewidth=4, zorder=1)
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        own = mine[mine["setting"] == name].sort_values("macs")
        static, method = (own[own["series"] == kind] for kind in ("static", "method"))
        mark = MARKERS[i % len(MARKERS)]
        costs, accuracies = static["macs"] / 1e6, static["accuracy"]
        axes.plot(costs, accuracies, f"--{mark}", color=colour, linewidth=1, markersize=2.5, zorder=2)
        whole = {"color": colour, "markersize": 10, "markeredgecolor": "black", "zorder": 4}
        axes.plot(costs.iloc[-1:], accuracies.iloc[-1:], mark, label=None if len(method) else _lines(name), **whole)
        if len(method):
            told = f"{method['method'].iloc[0]}: {verdict(method['lead'])}"
            label = f"{_lines(name)}\n{_lines(told)}"
            style = {"color": colour, "markersize": 4, "zorder": 3, "label": label}
            axes.plot(method["macs"] / 1e6, method["accuracy"], f"-{mark}", **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.15g}")
    axes.set_ylabel("test accuracy, %")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=0.7)


def _lines(label: str) -> str:
    return "\n".join(textwrap.wrap(label, ROOM))


def frontier(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the static exits, cheapest first, that are more accurate than every exit that does not cost more."""
    static = rows[rows["series"] == "static"].sort_values(["macs", "accuracy"], ascending=[True, False])
    return static[static["accuracy"] > static["accuracy"].cummax().shift(fill_value=-1.0)]


def verdict(lead: pd.Series) -> str:
    """Return a phrase that compares a method with static exits of other networks that do not cost more.

    lead: the differences in points, NaN if there is no such exit.
    """
    known = lead.dropna()
    if known.empty:
        return "no other network costs less"
    low, high = known.min(), known.max()
    span = f"{low:+.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:+.1f} to {high:+.1f}"
    return f"{span} points against other networks".replace("-", "−")


def absolute_data(report: Report) -> pd.DataFrame:
    """Return a row per static exit and per budget of the best method, for datasets with several networks.

    `lead` of a method's point: its accuracy minus that of the best static exit of other networks that does not cost
    more. Networks that have seen the training set are compared with those that have not, because test scores are not
    biased by that. Smoke runs are left out. Raises Missing if no dataset has several networks.
    """
    groups: dict[str, list[CellSummary]] = defaultdict(list)
    for cell in report.cells:
        if all(flag.kind != "limit" for flag in cell.statistics.flags):
            dataset, protocol = cell.name.partition(" · ")[0], cell.protocol.removesuffix(SEEN)
            groups[f"{dataset}, protocol {protocol}"].append(cell)
    rows = [row for name, cells in groups.items() if len(cells) > 1 for cell in cells for row in _cell(name, cell)]
    if not rows:
        raise Missing("No dataset has several networks.")
    data = pd.DataFrame(rows, columns=COLUMNS[:-1])
    data["lead"] = float("nan")
    static = data[data["series"] == "static"]
    for at, row in data[data["series"] == "method"].iterrows():
        others = static[(static["data"] == row["data"]) & (static["setting"] != row["setting"])]
        data.loc[at, "lead"] = row["accuracy"] - others.loc[others["macs"] <= row["macs"], "accuracy"].max()
    return data


def _cell(data: str, cell: CellSummary) -> list[tuple[object, ...]]:
    parts = cell.name.split(" · ")[1:]
    plain = f"protocol {cell.protocol}"
    kept = [part for part in parts if part != plain] + [cell.protocol] * cell.protocol.endswith(SEEN)
    title = " · ".join(kept)
    static = [line for line in cell.lines if line.label == "static" and line.kind == "reference"]
    rows = _means(static, (data, title, "static", "static"))
    best = next((m.label for m in cell.statistics.methods if m.complete), None)
    return rows if best is None else rows + _means(cell.of(best), (data, title, "method", best))


def _means(lines: Sequence[Line], where: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Return the mean MACs and the mean accuracy in % of each point over its seeds."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        macs, accuracy = line.score("macs"), line.score("accuracy")
        if macs is not None and accuracy is not None:
            points[line.point].append((macs, accuracy))
    return [(*where, name, fmean(m for m, _ in held), 100 * fmean(a for _, a in held)) for name, held in points.items()]
