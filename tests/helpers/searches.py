"""The small search that tests of tuning run, and made-up searches."""

from __future__ import annotations

from bench.tune.history import Decision, Protocol, Row, Subject, Tuned
from bench.tune.verdict import verdict, winner
from tests.helpers.commands import SMALL

BUDGETS = (0.4, 0.6, 0.8, 1.0)
TUNE = ["tune", *SMALL, "--budgets", ",".join(map(str, BUDGETS))]


def without_times(search) -> dict:
    """What a search found, without how long it took."""
    decision = search.decision and search.decision.model_dump(exclude={"seconds"})
    return {
        **search.model_dump(),
        "decision": decision,
        "history": [row.model_dump(exclude={"seconds"}) for row in search.history],
    }


SPACE = {
    "rate": {"low": 0.001, "high": 1.0, "log": True},
    "depth": {"low": 1, "high": 8, "log": False},
    "kind": ["a", None],
}


def row(number: int, *scores: float, status: str = "ok", rate: float = 0.1, depth: int = 3, kind="a", **more) -> Row:
    params = {"rate": rate, "depth": depth, "kind": kind}
    return Row(number=number, params=params, status=status, scores=scores, **more)


def made(rows, *, method: str = "made", finished: bool = True) -> Tuned:
    subject = Subject(
        method=method, identity="s", dataset="digits", dataset_variant=None, backbone="noise", image_size=8,
        bank_digest="b", protocol_version="v1", limit=None, space=SPACE,
    )  # fmt: skip
    protocol = Protocol(
        seeds=(0, 1),
        deciding=(2, 3),
        budgets=(0.5, 1.0),
        window=(0.5, 1.0),
        search_seed=0,
        threads=1,
        device="cpu",
        round_size=4,
        sampler="TPE",
        pruning="median",
    )
    state = Tuned(subject=subject, protocol=protocol, trials=len(rows), kept=None, versions={}, history=tuple(rows))
    if not finished:
        return state
    best = winner(rows)
    decision = best and Decision(trial=best.number, defaults=(0.6,), best=(0.7,), interval=(0.02, 0.15), images=99)
    kept, row, reason = verdict(rows, decision)
    update = {"kept": kept, "reason": reason, "decision": decision, "parameters": row.params}
    return state.model_copy(update=update)
