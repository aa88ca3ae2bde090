from __future__ import annotations

import pytest

from bench.execution.measurements import PLAIN, Row, Spread
from bench.report.figures.latency import latency_data, latency_figure


def row(method: str, milliseconds: float, cost: float, size: int = 1, budget: str | None = "0.5") -> Row:
    return Row(
        method=method,
        budget=budget,
        seed=0,
        batch_size=size,
        images=64,
        repeats=30,
        milliseconds=Spread(median=milliseconds, q1=milliseconds - 1, q3=milliseconds + 1),
        speed_up=10.0 / milliseconds,
        cost_counted=cost,
        cost_executed=cost,
        accuracy=0.9 * cost,
        created="now",
    )


def rows() -> list[Row]:
    return [row(name, 10 * c + 2, c, size) for name in ("a$x$", "b") for c in (0.5, 0.8) for size in (1, 8)] + [
        row(PLAIN, 10.0, 1.0, size, None) for size in (1, 8)
    ]


def test_the_data_states_what_executed_macs_suggest():
    data = latency_data(rows())
    assert len(data) == 10
    assert data["by_macs"].tolist() == pytest.approx([10 * a / 0.9 for a in data["accuracy"]])
    assert data["batch_size"].tolist() == [1] * 5 + [8] * 5


@pytest.mark.slow
def test_the_figure_depends_on_the_rows_alone():
    found = latency_figure(rows(), "digits · net", "a CPU")
    assert found == latency_figure(rows()[::-1], "digits · net", "a CPU")
    assert found.files.keys() == {"latency.svg", "latency.png", "latency.csv"} and "simulated" in found.caption
    assert found.files["latency.png"].startswith(b"\x89PNG")
