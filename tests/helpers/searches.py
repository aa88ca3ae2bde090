"""The small search that tests of tuning run."""

from __future__ import annotations

import sys

BUDGETS = (0.4, 0.6, 0.8, 1.0)


SMALL = ["--dataset", "digits", "--backbone", "cifar_resnet20", "--weights", "random", "--exits", "2,5"]


SMALL += ["--threads", "1", "--budgets", "0.4,0.6,0.8,1"]


TUNE = [sys.executable, "-m", "bench", "tune", *SMALL]


def without_times(search) -> dict:
    """What a search found, without how long it took."""
    decision = search.decision and search.decision.model_dump(exclude={"seconds"})
    return {
        **search.model_dump(),
        "decision": decision,
        "history": [row.model_dump(exclude={"seconds"}) for row in search.history],
    }
