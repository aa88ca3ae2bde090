"""The families of scores: the names of each, what it needs of an operating point, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.metrics import anytime, basic, decision, longtail, nested, selective, sets, thinking
from bench.metrics.samples import ALPHAS, Column, Measured
from bench.metrics.thresholds import KINDS

Made = tuple[dict[str, float], dict[str, Column]]

NEEDS = {  # beyond exit, prediction, correctness, confidence and p_y of every sample; in words
    "labels": "the labels",
    "probabilities": "the logits that samples left with",
    "order": "the order of random numbers",
    "exits": "the answers of every exit",
    "exit_macs": "the cost of every exit",
    "train_counts": "the training samples per class",
    "exit_logits": "all logits of every exit, which are never stored",
}


@dataclass(frozen=True)
class Family:
    """Scores that are computed together."""

    title: str
    make: Callable[[Measured], Made]
    needs: tuple[str, ...] = ()  # keys of NEEDS
    metrics: tuple[str, ...] = ()  # always computed, others only on some data; 'name@' stands for one per alpha
    columns: tuple[str, ...] = ()  # per exit, None if there is nothing to measure

    def names(self, alphas: Sequence[float] = ALPHAS) -> list[str]:
        """Return the full names of its metrics."""
        return [full for name in self.metrics for full in _at(name, alphas)]

    def lacks(self, point: Measured) -> list[str]:
        """Return, in words, what it needs and the operating point does not have."""
        return [NEEDS[need] for need in self.needs if not point.has(need)]


def _at(name: str, alphas: Sequence[float]) -> list[str]:
    return [f"{name}{alpha}" for alpha in alphas] if name.endswith("@") else [name]


def _only(make: Callable[[Measured], dict[str, float]]) -> Callable[[Measured], Made]:
    return lambda point: (make(point), {})


def _of(kind: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{key}_{kind}@" for key in keys)


COVERAGE = ("coverage", "coverage_low", "coverage_high")
SIZES = ("set_size", "empty_share", "singleton_share")
GAPS = ("class_gap_mean", "class_gap_worst")
EVERY_EXIT = ("exits", "labels", "exit_macs")
CLASSES = ("labels", "probabilities", "order")


def _class_gap(kind: str, needs: tuple[str, ...] = ()) -> Family:
    make = _only(partial(sets.class_gap, name=kind))
    return Family(f"class gaps of {kind} sets", make, tuple(dict.fromkeys((*needs, "labels"))), _of(kind, *GAPS))


def _threshold_families(kind: str) -> list[Family]:
    needs, ours = KINDS[kind].needs, kind.startswith("mondrian")
    rows = [f"{key}_{kind}@{sets.ROW_ALPHA}" for key in ("coverage", "set_size")] if kind == "mondrian_exit" else []
    found = [
        Family(
            f"coverage of {kind} sets",
            partial(sets.threshold_coverage, name=kind),
            needs,
            _of(kind, *COVERAGE, *(["pooled_share"] if ours else [])),
            tuple(rows[:1]),
        ),
        Family(
            f"sizes of {kind} sets",
            partial(sets.threshold_sizes, name=kind),
            (*needs, "probabilities"),
            _of(kind, *SIZES),
            tuple(rows[1:]),
        ),
    ]
    return [*found, _class_gap(kind, needs)] if ours else found


FAMILIES = (
    Family(
        "accuracy and cost",
        _only(basic.costs),
        ("exit_macs",),
        ("accuracy", "macs", "macs_fraction", "mean_exit", "collapsed", "cal_accuracy", "cal_macs_fraction"),
    ),
    Family(
        "calibration",
        _only(basic.confidences),
        (),
        ("nll", "confidence", "ece_mass15", "ece_width15", "ece_debiased15"),
    ),
    Family(
        "calibration of all classes",
        _only(basic.distributions),
        ("labels", "probabilities"),
        ("brier", "ece_classwise15"),
    ),
    Family(
        "every exit on all samples",
        basic.exits,
        EVERY_EXIT,
        ("accuracy_random",),
        ("accuracy_all", "nll_all", "ece_mass15_all"),
    ),
    Family(
        "every exit on its own samples",
        basic.exited,
        columns=("share", "accuracy_exited", "mean_confidence_exited"),
    ),
    Family(
        "selective prediction",
        _only(selective.scores),
        (),
        ("aurc", "e_aurc", *(f"coverage_at_risk@{risk}" for risk in selective.RISKS)),
    ),
    Family(
        "exit decisions",
        decision.scores,
        ("exits", "labels"),
        columns=("arrived", *(f"{target}_auroc_{who}" for target in decision.TARGETS for who in ("all", "arrived"))),
    ),
    Family(
        "over- and under-thinking",
        _only(thinking.scores),
        EVERY_EXIT,
        ("overthinking_destructive", "overthinking_wasteful", "underthinking", "consistency"),
    ),
    Family(
        "anytime prediction",
        _only(anytime.scores),
        EVERY_EXIT,
        ("anytime_accuracy", "drop_correct", *(f"drop_probability@{tau}" for tau in anytime.DROPS)),
    ),
    Family(
        "groups of classes",
        _only(longtail.scores),
        (*EVERY_EXIT, "train_counts"),
        ("balanced_accuracy", "accuracy_worst20"),
    ),
    Family(
        "bands of coverage",
        _only(sets.bands),
        (),
        tuple(f"coverage_{band}_{end}@" for band in ("beta", "band") for end in ("low", "high")),
    ),
    Family(
        "coverage of lac sets",
        sets.lac_coverage,
        (),
        _of("lac", *COVERAGE),
        (f"coverage_lac@{sets.ROW_ALPHA}",),
    ),
    Family("sizes of lac sets", _only(sets.pooled_lac_sizes), CLASSES, _of("lac", *SIZES)),
    Family(
        "sizes of lac sets exit by exit",
        sets.lac_sizes_by_exit,
        ("probabilities",),
        columns=(f"set_size_lac@{sets.ROW_ALPHA}",),
    ),
    _class_gap("lac"),
    *(
        Family(f"{kind} sets", _only(partial(sets.adaptive, kind=kind)), CLASSES, _of(kind, *COVERAGE, *SIZES, *GAPS))
        for kind in ("aps", "raps")
    ),
    *(family for kind in KINDS for family in _threshold_families(kind)),
    Family(
        "nestedness",
        nested.scores,
        ("exits", "exit_logits"),
        ("nestedness_lac@",),
        tuple(f"nestedness_lac@{alpha}" for alpha in ALPHAS),
    ),
)
