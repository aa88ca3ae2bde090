"""The look of figures: colour-blind-safe colours and markers of methods, and settings that make files reproducible."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

# Okabe and Ito's colours. Black and grey are reserved for references; yellow is too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "<")  # all of them can be drawn hollow
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
# Methods with a fixed look, so that a new method does not change the figures of other settings. Add only at the end.
PINNED = (
    "jeidnn", "msdnet_thresh", "entropy_thresh", "anytime_poe", "beem", "boostednet",
    "caching", "eefp", "eenet", "eero", "energy_thresh", "global_thresh",
    "learned_exit", "mie_lap", "margin_thresh", "jeidnn[preset=paper]", "jeidnn[preset=released]", "l2w_den",
    "patient_confident", "optimal_stopping", "patience", "pcee", "risk_control", "ztw",
    "diff_prob", "class_means", "per_class_thresh", "voting", "js_divergence", "cosee", "palbert",
)  # fmt: skip
# Families of methods (`bench.method.Fidelity.family`), one panel each. They are repeated here because a report must not
# import methods; a test compares the two.
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
FONT = "DejaVu Sans"  # comes with matplotlib, so that text has the same width on every machine
REFERENCE = "#8A8A8A"
HULL = "#333333"
ALARM = "#B00020"
NOTE = "#444444"
MISSING = "#6B6B6B"  # text in place of a missing value
OTHERS = "#D9D9D9"  # lines of methods that a panel does not highlight
ZONE = "#EDE6C8"  # range in which a difference or deviation is not meaningful
SHADES = "Blues"  # shares, 0 to 1
DIVERGING = "PuOr"  # values around zero
MOST_LINES = len(COLOURS)  # methods that readers can tell apart in one plot


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash pattern of a method's line."""

    colour: str
    marker: str
    dash: Any


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Return a look per method. It depends on the name, and on other names only if two would get the same look."""
    slots = {name: slot for slot, name in enumerate(PINNED)}
    wanted = sorted(set(names))
    for name in wanted:
        slots.setdefault(name, _free(name, set(slots.values())))
    return {name: _look(slots[name]) for name in wanted}


def distinct(names: Sequence[str], known: Mapping[str, Look]) -> Mapping[str, Look]:
    """Return looks in which each of a few methods has its own hue and marker: its usual hue unless that is taken.

    If there are more methods than hues, all keep their usual looks.
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
    """Group methods by family, in the order of FAMILIES; the order within a family is kept."""
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
        "axes.titley": 1.0,  # fixed titles: placing each automatically takes a fifth of the drawing time
        "text.parse_math": False,  # names from records are plain text, even with dollar signs
        "svg.hashsalt": "exitbench",
        "svg.fonttype": "path",
        "figure.dpi": 100,
    }
