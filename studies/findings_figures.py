"""Draw the figures of docs/findings.md: one for each section, with a panel for each numbered claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

import bench
from bench.report.figures.file import render
from bench.report.style import HULL, OTHERS, REFERENCE, settings
from bench.tune.history import FOLDER as SEARCHES
from bench.tune.history import searches

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "findings"
BASE = "global_thresh"  # one threshold, in black
HUES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # colour-blind safe
BANKING, CLINC, JOINT = "banking77/minilm_l6", "clinc150/minilm_l6", "banking77/minilm_l6_joint_banking77"
JOINT_IMAGES = "cifar100/efficientnet_lite0_joint_cifar100"
NATIVE = ("learned_exit", "eefp", "jeidnn", "msdnet_thresh", "patience")
FASHION = "fashion_mnist/t2t_vit_7_tuned_fashion_mnist"
LONGTAIL = "cifar100lt/efficientnet_lite0_tuned_cifar100lt"
TEN, RESNET = "cifar10/efficientnet_lite0_tuned_cifar10", "cifar10/cifar_resnet56"
FROZEN = "cifar10/efficientnet_lite0"
CLIP, TEN_CLIP = "caltech101/clip_vit_b16", "cifar10/clip_vit_b16"
TUNED, CALTECH = "cifar100/efficientnet_lite0_tuned_cifar100", "caltech101/efficientnet_lite0"
BACKWARD = "jeidnn[scheme=subsequent]"  # the authors' targets
WIDE, HIGH = 3.6, 1.9  # inches of a panel
MOST_NAMES = 6  # on the axis of a panel of that height
ENTRY = 0.17  # room for an entry of a legend, as a share of an axis
Panel = Callable[[Axes], None]


def table(setting: str, name: str) -> pd.DataFrame:
    """Return a table of the report of a setting."""
    return pd.read_csv(ROOT / "reports" / setting / "tables" / f"{name}.csv")


def own(axes: Axes, setting: str, *methods: str, column: str = "own") -> None:
    """Draw own gains with 95 % intervals; if no methods are given, all of them, with the leading group in colour.

    column: `plain_difference` for own gains minus that of one threshold.
    """
    board = table(setting, "leaderboard").set_index("method")
    names = list(methods) or [name for name in board.index if pd.notna(board.loc[name, "rank"])]
    for y, name in enumerate(names):
        row, low, high = (100 * board.loc[name, key] for key in (column, f"{column}_low", f"{column}_high"))
        leads = board.loc[name].get("method_highlight") in ("leading", "best")
        colour = (HULL if name == BASE else HUES[0]) if methods else HUES[1] if leads else REFERENCE
        axes.plot([low, high], [y, y], color=colour, lw=1.5)
        axes.plot([row], [y], "o", color=colour, ms=4)
    axes.axvline(0, color=REFERENCE, lw=1, ls="--")
    axes.set_yticks(range(len(names)), names if methods else [""] * len(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("own gain, points" if column == "own" else f"own gain minus that of {BASE}, points")
    axes.grid(visible=False, axis="y")


def exits(axes: Axes, setting: str, *methods: str) -> None:
    """Draw the accuracy of the static exits at their costs, and of methods' policies."""
    points = table(setting, "points")
    static = points[points["method"] == "static"].sort_values("macs_fraction")
    _band(axes, static, "accuracy", REFERENCE, "static exits", "o", 100)
    axes.axhline(100 * static["accuracy"].iloc[0], color=REFERENCE, lw=0.8, ls=":")
    for name, colour in _colours(methods).items():
        _band(axes, points[points["method"] == name].sort_values("budget"), "accuracy", colour, name, "s", 100)
    low, high = axes.get_ylim()
    axes.set_ylim(low - ENTRY * (len(methods) + 1) * (high - low), high)
    axes.set(xlabel="cost, share of the network's MACs", ylabel="accuracy, %")


def gain(axes: Axes, setting: str, *methods: str, room: float = ENTRY) -> None:
    """Draw the gain of methods over the static hull at each cost, with 95 % intervals; all other methods in grey.

    room: height of a legend entry, as a share of the axis.
    """
    board = table(setting, "budgets").set_index("method")
    costs = [key.removeprefix("gain@") for key in board if key.startswith("gain@") and key.count("_") == 0]
    x = [float(cost) for cost in costs]
    values = {end: board[[f"gain@{cost}{end}" for cost in costs]] * 100 for end in ("", "_low", "_high")}
    for name in board.index.difference([*methods, "oracle", "static hull"]):
        axes.plot(x, values[""].loc[name], color=OTHERS, lw=0.7, zorder=1)
    for name, colour in _colours(methods).items():
        axes.fill_between(x, values["_low"].loc[name], values["_high"].loc[name], color=colour, alpha=0.15, lw=0)
        axes.plot(x, values[""].loc[name], color=colour, marker="o", ms=3, lw=1.5, label=name)
    shown = values[""].loc[list(methods)].to_numpy()
    low, high = min(np.nanmin(shown), 0.0) - 0.5, max(np.nanmax(shown), 0.0) + 0.5
    axes.set_ylim(low, high + room * len(methods) * (high - low))
    axes.axhline(0, color=REFERENCE, lw=1, ls="--")
    axes.set(xlabel="cost, share of the network's MACs", ylabel="gain over the\nstatic hull, points")


def score(axes: Axes, setting: str, name: str, scale: float, label: str, *methods: str) -> None:
    """Draw a score of methods' policies, mean over seeds, at their costs."""
    frame = bench.load_records(ROOT / "results" / setting)
    found = frame[(frame["kind"] == "method") & (frame["status"] == "ok")]
    found = found.groupby(["method", "budget"])[["macs_fraction", name]].mean().reset_index()
    for method, colour in _colours(methods).items():
        mine = found[found["method"] == method]
        axes.plot(mine["macs_fraction"], scale * mine[name], color=colour, marker="o", ms=3, lw=1.4, label=method)
    axes.set(xlabel="cost, share of the network's MACs", ylabel=label)


def absolute(axes: Axes, settings_: Mapping[str, str], method: str) -> None:
    """Draw, over million MACs, the static exits of several networks and the policies of a method on each."""
    for (setting, name), colour in zip(settings_.items(), HUES[1:], strict=False):
        frame = bench.load_records(ROOT / "results" / setting)
        frame = frame[frame["status"] == "ok"].assign(macs=frame["macs"] / 1e6, accuracy=100 * frame["accuracy"])
        static = frame[frame["method"] == "static"].groupby("exit")[["macs", "accuracy"]].mean()
        mine = frame[frame["method"] == method].groupby("budget")[["macs", "accuracy"]].mean()
        axes.plot(static["macs"], static["accuracy"], color=colour, ls="--", lw=1, label=f"{name}, static exits")
        axes.plot(
            static["macs"].iloc[-1:], static["accuracy"].iloc[-1:], "*", color=colour, ms=10, label=f"{name}, whole"
        )
        axes.plot(mine["macs"], mine["accuracy"], color=colour, marker="o", ms=3, lw=1.4, label=f"{name}, {method}")
    axes.set(xlabel="cost of an image, million MACs", ylabel="accuracy, %")


def settings_compared(axes: Axes, settings_: Mapping[str, str], first: str, second: str) -> None:
    """Draw the own gains of two methods in several settings, with their 95 % intervals."""
    for y, setting in enumerate(settings_):
        board = table(setting, "leaderboard").set_index("method")
        for name, colour, shift in ((first, HUES[0], -0.14), (second, HUES[1], 0.14)):
            value, low, high = (100 * board.loc[name, key] for key in ("own", "own_low", "own_high"))
            axes.plot([low, high], [y + shift] * 2, color=colour, lw=1.5)
            axes.plot([value], [y + shift], "o", color=colour, ms=4, label=name if y == 0 else None)
    axes.axvline(0, color=REFERENCE, lw=1, ls="--")
    axes.set_yticks(range(len(settings_)), list(settings_.values()))
    axes.set_ylim(1.35 * len(settings_) + 0.8, -0.6)  # room for a legend
    axes.set_xlabel("own gain, points")
    axes.grid(visible=False, axis="y")


def tuned(axes: Axes) -> None:
    """Draw the winner of every search minus the defaults on other data; filled where it is kept."""
    found = [s for s in searches(ROOT / "results" / SEARCHES) if s.decision and s.decision.interval]
    names = sorted({s.subject.method for s in found}, reverse=True)
    for shift, (dataset, colour) in zip((0.25, 0.0, -0.25), zip(SEARCHED, HUES, strict=False), strict=True):
        for search in (s for s in found if s.subject.dataset == dataset):
            y, decision = names.index(search.subject.method) + shift, search.decision
            axes.plot([100 * end for end in decision.interval], [y, y], color=colour, lw=1.2)
            face = colour if search.kept == "tuned" else "white"
            axes.plot([100 * decision.difference], [y], "o", color=colour, mfc=face, ms=4)
        axes.plot([], [], "o-", color=colour, ms=4, label=SEARCHED[dataset])
    axes.axvline(0, color=REFERENCE, lw=1, ls="--")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("the search's winner minus the defaults, points (filled: kept)")
    axes.grid(visible=False, axis="y")


def _band(axes: Axes, rows: pd.DataFrame, key: str, colour: str, label: str, marker: str, scale: float) -> None:
    x = rows["macs_fraction"]
    axes.fill_between(x, scale * rows[f"{key}_low"], scale * rows[f"{key}_high"], color=colour, alpha=0.15, lw=0)
    axes.plot(x, scale * rows[key], color=colour, marker=marker, ms=3, lw=1.4, label=label)


def _colours(methods: Sequence[str]) -> dict[str, str]:
    hues = iter(HUES)
    return {name: HULL if name == BASE else next(hues) for name in methods}


COMPARED = {
    BANKING: "Banking77", CLINC: "CLINC150", FASHION: "Fashion-MNIST", LONGTAIL: "CIFAR-100-LT", TUNED: "CIFAR-100",
    TEN: "CIFAR-10, tuned", FROZEN: "CIFAR-10, frozen", RESNET: "ResNet-56", TEN_CLIP: "CIFAR-10, CLIP",
    CALTECH: "Caltech-101", CLIP: "Caltech-101, CLIP",
}  # fmt: skip
SEARCHED = {"caltech101": "Caltech-101", "banking77": "Banking77", "clinc150": "CLINC150"}
SIX = (BASE, "msdnet_thresh", "eefp", "learned_exit", "jeidnn", BACKWARD)
FIGURES: dict[str, dict[str, Panel]] = {  # by file name: a panel for each claim, by its title
    "banking77": {
        "1": partial(exits, setting=BANKING),
        "2": lambda axes: exits(axes, BANKING, BASE),
        "3": lambda axes: own(
            axes, BANKING, "risk_control", "margin_thresh", "eefp", "pcee", "learned_exit", column="plain_difference"
        ),
        "4": lambda axes: own(axes, BANKING, BASE, "entropy_thresh", "energy_thresh"),
        "5": lambda axes: exits(axes, BANKING, BASE, "patience", "voting", "js_divergence"),
        "6": lambda axes: exits(axes, BANKING, BASE, "msdnet_thresh"),
        "7": lambda axes: gain(axes, BANKING, BASE, "jeidnn", BACKWARD),
        "8": lambda axes: gain(axes, BANKING, BASE, "class_means"),
        "9": lambda axes: own(axes, BANKING, BASE, "lookahead"),
        "10": lambda axes: own(axes, BANKING, "oracle", "risk_control", BASE),
    },
    "clinc150": {
        "1": partial(exits, setting=CLINC),
        "2": partial(own, setting=CLINC),
        "3": lambda axes: own(axes, CLINC, "boostednet", "caching", "mie_lap", BASE),
        "4": lambda axes: gain(axes, CLINC, BASE, "jeidnn", BACKWARD),
    },
    "joint": {
        "1": lambda axes: own(axes, JOINT, BASE, f"{BASE}[heads=native]"),
        "2": lambda axes: own(
            axes, JOINT, *(f"{name}[heads=native]" for name in ("learned_exit", "eefp", "lookahead", "msdnet_thresh")),
            f"{BASE}[heads=native]",
        ),
    },
    "joint_images": {
        "1": lambda axes: gain(axes, JOINT_IMAGES, BASE, "jeidnn"),
        "2": lambda axes: own(axes, JOINT_IMAGES, BASE, f"{BASE}[heads=native]"),
        "3": lambda axes: own(axes, JOINT_IMAGES, *(f"{name}[heads=native]" for name in (*NATIVE, BASE))),
    },
    "images": {
        "1": lambda axes: gain(axes, LONGTAIL, BASE, "per_class_thresh", "eefp"),
        "2": lambda axes: gain(axes, LONGTAIL, BASE, "patience"),
        "3": lambda axes: own(axes, LONGTAIL, BASE, "entropy_thresh"),
        "4": lambda axes: settings_compared(axes, COMPARED, "jeidnn", BACKWARD),
        "static exits of T2T-ViT-7": partial(exits, setting=FASHION),
        "static exits of EfficientNet-Lite0": partial(exits, setting=LONGTAIL),
    },
    "classes": {
        "1": lambda axes: gain(axes, TUNED, BASE, "ztw"),
        "2": lambda axes: own(axes, TUNED, "eefp", "margin_thresh", "pcee", column="plain_difference"),
        "3": lambda axes: settings_compared(
            axes, {key: COMPARED[key] for key in (TUNED, TEN, FROZEN, RESNET, TEN_CLIP, CALTECH, CLIP)}, "jeidnn", BASE
        ),
        "4": lambda axes: own(axes, RESNET, "eero", "optimal_stopping", "jeidnn", "ztw", BASE),
        "5": lambda axes: gain(axes, CALTECH, BASE, "patience", "voting"),
        "6": lambda axes: own(axes, TUNED, "oracle", "ztw", BASE),
        "all methods on Caltech-101": partial(own, setting=CALTECH),
    },
    "small": {
        "1": lambda axes: absolute(
            axes, {"cifar10/cifar_resnet20": "ResNet-20", "cifar10/cifar_resnet56": "ResNet-56"}, "jeidnn"
        ),
    },
    "tuned": {"": tuned},
    "jeidnn": {
        "accuracy": lambda axes: gain(axes, LONGTAIL, *SIX, room=0),
        "calibration": lambda axes: score(axes, LONGTAIL, "ece_mass15", 100, "ECE, %", *SIX),
        "set size": lambda axes: score(axes, LONGTAIL, "set_size_lac@0.1", 1, "classes per 90 % set", *SIX),
    },
}  # fmt: skip


def draw(name: str, folder: Path = FOLDER) -> Path:
    """Draw the figure of a section; return its path."""
    panels = FIGURES[name]
    columns = {1: 1, 3: 3}.get(len(panels), 2)
    rows = -(-len(panels) // columns)
    with plt.rc_context(settings() | {"font.size": 8}):
        figure, places = plt.subplots(
            rows,
            columns,
            figsize=(5.6, 2.8) if columns == 1 else (WIDE * columns, HIGH * rows + (columns == 3) * 0.5),
            layout="constrained",
            squeeze=False,
        )
        for axes in places.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, panel) in zip(places.flat, panels.items(), strict=False):
            panel(axes)
            axes.set_title(title, fontsize=9, loc="left", fontweight="bold")
            axes.tick_params(labelsize=8)
            axes.xaxis.label.set_size(8)
            axes.yaxis.label.set_size(8)
            axes.spines[["top", "right"]].set_visible(False)
        if columns > 1:
            heights = [max(1.0, *(_names(axes) / MOST_NAMES for axes in row)) for row in places]
            if max(heights) > 1:  # many settings or methods in a panel
                places[0, 0].get_gridspec().set_height_ratios(heights)
                figure.set_figheight(HIGH * sum(heights))
        legends = [axes.get_legend_handles_labels() for axes in places.flat[: len(panels)]]
        if len(panels) > 1 and legends[0][1] and all(labels == legends[0][1] for _, labels in legends):
            figure.legend(*legends[0], loc="outside lower center", ncols=len(legends[0][1]), fontsize=8, frameon=False)
        else:
            for axes, (handles, labels) in zip(places.flat, legends, strict=False):
                if labels:
                    place = "lower right" if _names(axes) else "best"
                    axes.legend(handles, labels, fontsize=7, framealpha=0.8, loc=place, handlelength=1.6)
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(render(figure, "png"))
        plt.close(figure)
    return path


def _names(axes: Axes) -> int:
    """Return the number of names on a vertical axis, 0 if it has numbers."""
    named = isinstance(axes.yaxis.get_major_locator(), FixedLocator)
    return sum(bool(label.get_text()) for label in axes.get_yticklabels()) if named else 0


if __name__ == "__main__":
    for key in FIGURES:
        print(draw(key))
