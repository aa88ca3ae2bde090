"""Check the stored operating points of a setting against policies that really stop early, and store the agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.bank.cell import Cell
from bench.execution.agreement import Agreement, agreements
from bench.execution.network import Network, fit
from bench.method import Policy
from bench.trials.plan import Configured, method_points
from bench.trials.record import Point
from bench.trials.store import Store, read, write_record

if TYPE_CHECKING:
    from pathlib import Path

IMAGES, UNEXPLAINED = "executed_images", "executed_unexplained"  # scores of a verified record


def verify(
    network: Network, cell: Cell, methods: Sequence[Configured], budgets: Sequence[float], store: Store, images: int
) -> Iterator[tuple[Point, Agreement]]:
    """Refit methods and execute the policies of their stored points on `images` test samples; yield each agreement.

    The agreement is added to the scores of the point's record. Points without a policy, and those that already agreed
    on as many samples, are left out.
    """
    task = None
    count = len(network.positions(images))
    for configured in methods:
        every = method_points(configured.method, budgets, network.seed, configured.tuned)
        points = {p.budget: p for p in every if p.budget is not None}
        paths = {b: path for b, point in points.items() if (path := _to_check(store, cell, point, count))}
        if not paths:
            continue
        task = task or network.bank.task(network.seed, network.device)
        fitted = fit(configured.method, task, budgets)
        policies = {b: policy for b in paths if isinstance(policy := fitted[b], Policy)}
        for budget, agreed in agreements(network, policies, count).items():
            record = read(paths[budget])
            write_record(paths[budget], record.model_copy(update={"metrics": record.metrics | agreed.metrics}))
            yield points[budget], agreed


def _to_check(store: Store, cell: Cell, point: Point, count: int) -> Path | None:
    """Return the path of a point's record; None if it has no scores or its policy agreed on as many samples before."""
    if store.status(cell, point) != "ok":
        return None
    path = store.path(cell, point)
    scores = read(path).metrics
    return path if scores.get(IMAGES, 0) < count or scores[UNEXPLAINED] else None
