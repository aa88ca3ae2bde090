"""What the sliders answer from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.execution.measurements import PLAIN, Machine, Row, Spread, add, path_of
from bench.report.latencies import measured
from bench.report.site.commands import export_command, exported, run_command
from bench.report.site.finder import finder
from tests.helpers.records import COSTS, cell
from tests.helpers.site_records import EVIL, make_report


@pytest.fixture(scope="module")
def one():
    return make_report(("jeidnn", "msdnet_thresh", EVIL), seeds=range(6))[0]


def machine(threads: int = 1) -> Machine:
    return Machine(cpu="Made-up CPU", device="cpu", threads=threads, torch="2", system="Linux")


def row(method: str, budget: str | None, milliseconds: float, size: int = 8) -> Row:
    spread = Spread(median=milliseconds, q1=milliseconds, q3=milliseconds)
    known = {"seed": 0, "images": 64, "repeats": 30, "speed_up": 1.0, "accuracy": 0.5, "created": "now"}
    costs = {"cost_counted": 0.5, "cost_executed": 0.5}
    return Row(method=method, budget=budget, batch_size=size, milliseconds=spread, **known, **costs)


def test_methods_answer_with_the_numbers_of_the_statistics(one):
    found, method = finder(one), one.statistics.methods[0]
    held = next(m for m in found["methods"] if m["name"] == method.label)
    assert found["budgets"] == [b.budget for b in method.curve.budgets] and found["ranked"]
    for at, known, point in zip(held["at"], method.curve.budgets, method.points, strict=True):
        assert at["accuracy"] == pytest.approx(
            [100 * v for v in (known.accuracy.value, known.accuracy.low, known.accuracy.high)], rel=1e-4
        )
        assert at["gain"][0] == pytest.approx(100 * known.gain.value, rel=1e-3, abs=1e-6)
        assert at["cost"] == pytest.approx(100 * point.cost.value, rel=1e-4)
        assert at["leading"] == known.leading and at["ece"] > 0 and at["set"] > 0 and at["ms"] is None
    assert any(at["leading"] for at in held["at"])
    json.dumps(found, allow_nan=False)


def test_the_static_mix_costs_the_budget_and_names_exits(one):
    found, names = finder(one), one.cell.exit_names
    costs = dict(zip(names, COSTS, strict=True))
    for budget, mix in zip(found["budgets"], found["mix"]["at"], strict=True):
        assert sum(share for _, share in mix["shares"]) == pytest.approx(100, abs=1)
        assert sum(costs[name] * share / 100 for name, share in mix["shares"]) == pytest.approx(budget, abs=0.02)


def test_latency_is_told_where_it_was_measured(one, tmp_path):
    path = path_of(tmp_path, one.cell)
    path.parent.mkdir(parents=True)
    rows = [row("jeidnn", "0.5", 24.0), row("jeidnn", "0.5", 99.0, 64), row(PLAIN, None, 40.0)]
    add(path, one.cell, machine(), rows)
    add(path, one.cell, machine(2), [row("jeidnn", "0.5", 1.0)])
    parts = measured([tmp_path, tmp_path / "none"], one.cell)
    assert [part.machine.threads for part in parts] == [1, 2]
    found = finder(replace(one, measured=parts))
    at = next(m for m in found["methods"] if m["name"] == "jeidnn")["at"][found["budgets"].index(0.5)]
    assert at["ms"] == 3.0 and found["plain"]["ms"] == 5.0
    assert found["machine"] == f"{machine().title}; batch size 8"


def test_commands_name_the_network_of_a_suite_by_its_folder_and_quote_what_a_shell_would_read():
    plain = cell(dataset="cifar100lt[imbalance=50]", backbone="efficientnet_lite0", image_size=96)
    assert run_command(plain, (0, 1, 2)) == (
        "bench run --dataset 'cifar100lt[imbalance=50]' --backbone efficientnet_lite0 --image-size 96 "
        "--methods {method} --budgets {budget} --seeds 0-2"
    )
    tuned = cell(dataset="cifar100lt", backbone="efficientnet_lite0_tuned_cifar100lt", image_size=96, limit=50)
    folder = "results/cifar100lt/efficientnet_lite0_tuned_cifar100lt/network"
    assert exported(export_command(tuned), "a b", "0.7") == (
        f"bench export cifar100lt 'a b' 0.7 --backbone {folder} --limit 50 -o policy"
    )
    assert run_command(plain, (0, 2)).endswith("--seeds 0,2")
