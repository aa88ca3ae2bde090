"""How figures look: colour-blind-safe colours that stay with a method, markers, and the settings that fix the bytes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

# Okabe and Ito's colours; black and grey are kept for references, yellow is too faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "<")  # all with room inside, to be hollow
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
# Methods with a look that never changes, so that a new method leaves the figures of all settings as they are: add at
# the end alone.
PINNED = (
    "jeidnn", "msdnet_thresh", "entropy_thresh", "anytime_poe", "beem", "boostednet",
    "caching", "eefp", "eenet", "eero", "energy_thresh", "global_thresh",
    "learned_exit", "mie_lap", "margin_thresh", "jeidnn[preset=paper]", "jeidnn[preset=released]", "l2w_den",
    "patient_confident", "optimal_stopping", "patience", "pcee", "risk_control", "ztw",
    "diff_prob", "class_means", "per_class_thresh", "voting", "js_divergence", "cosee", "palbert",
)  # fmt: skip
# What the exits of methods are decided by (`bench.method.Fidelity.family`), for panels. Written here, as a report must
# not import methods; a test compares.
FAMILIES: dict[str, tuple[str, ...]] = {
    "own confidence": (
        "global_thresh", "msdnet_thresh", "entropy_thresh", "margin_thresh", "energy_thresh", "per_class_thresh",
    ),
    "agreement": ("patience", "patient_confident", "voting", "beem", "js_divergence"),
    "calibrated": ("eefp", "eero", "pcee"),
    "learned gates": (
        "learned_exit", "eenet", "diff_prob", "lookahead", "optimal_stopping", "palbert",
    ),
    "ensembles": ("caching", "anytime_poe", "mie_lap"),
    "own heads": ("boostednet", "class_means", "cosee", "l2w_den", "ztw"),
    "joint training": ("jeidnn",),
    "risk control": ("risk_control",),
}  # fmt: skip
OTHER_FAMILY = "other methods"
FONT = "DejaVu Sans"  # comes with matplotlib, so that text is as wide everywhere
REFERENCE = "#8A8A8A"
HULL = "#333333"
ALARM = "#B00020"
NOTE = "#444444"
MISSING = "#6B6B6B"  # words where a value would stand
OTHERS = "#D9D9D9"  # lines behind the one that a panel is about
ZONE = "#EDE6C8"  # where a difference or a deviation means nothing
SHADES = "Blues"  # shares, 0 to 1
DIVERGING = "PuOr"  # values around zero
MOST_LINES = len(COLOURS)  # methods that one pair of axes, or a table without a break, can show apart


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash pattern of a method's line."""

    colour: str
    marker: str
    dash: Any


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Give every method a look that depends on its name; on the other names only if theirs would be the same."""
    slots = {name: slot for slot, name in enumerate(PINNED)}
    wanted = sorted(set(names))
    for name in wanted:
        slots.setdefault(name, _free(name, set(slots.values())))
    return {name: _look(slots[name]) for name in wanted}


def distinct(names: Sequence[str], known: Mapping[str, Look]) -> Mapping[str, Look]:
    """Give each of a few methods a hue and a marker of its own: its usual hue, unless an earlier one has that.

    More methods than there are hues keep their usual looks.
    """
    if len(names) > len(COLOURS):
        return known
    free, found = list(COLOURS), {}
    for own in (True, False):
        for name in names:
            if name not in found and free and (known[name].colour in free or not own):
                found[name] = known[name].colour if own else free[0]
                free.remove(found[name])
    return {name: Look(colour, MARKERS[COLOURS.index(colour)], "-") for name, colour in found.items()}


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Group methods by family, in the order of FAMILIES; within a family the order stays."""
    of = {name: family for family, held in FAMILIES.items() for name in held}
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(of.get(name.partition("[")[0], OTHER_FAMILY), []).append(name)
    return {family: found[family] for family in (*FAMILIES, OTHER_FAMILY) if family in found}


def _free(name: str, taken: set[int]) -> int:
    start = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    turns = ((r, (start + i) % len(COLOURS)) for r in itertools.count() for i in range(len(COLOURS)))
    return next(slot for r, colour in turns if (slot := r * len(COLOURS) + colour) not in taken)


def _look(slot: int) -> Look:
    turn, colour = divmod(slot, len(COLOURS))
    return Look(COLOURS[colour], MARKERS[(colour + turn) % len(MARKERS)], DASHES[turn % len(DASHES)])


@cache
def settings() -> Any:
    """Return matplotlib's settings for our figures; the hash salt makes SVG bytes repeatable."""
    from bench.report.drawing import defaults, sns

    return {
        **defaults(),
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper", font_scale=1.1),
        "axes.edgecolor": "#444444",
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.7,
        "font.family": FONT,
        "font.sans-serif": [FONT],
        "axes.titley": 1.0,  # titles stay where they are put: finding a place for each takes a fifth of the time
        "text.parse_math": False,  # names from records are text, whatever dollars they hold
        "svg.hashsalt": "exitbench",
        "svg.fonttype": "path",
        "figure.dpi": 100,
    }
