"""What the sliders answer from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.execution.measurements import PLAIN, Machine, Row, Spread, add, path_of
from bench.report.latencies import measured
from bench.report.site.commands import export_command, lacking, run_command
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
    known = {"seed": 0, "images": 64, "repeats": 30, "speed_up": 1.0, "accuracy": 0.5}
    costs = {"cost_counted": 0.5, "cost_executed": 0.5, "created": "2026-11-30T13:36:24+00:00"}
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
        assert at["leading"] == known.leading and at["ece"] > 0 and at["set"] > 0
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
    rows = [
        row("jeidnn", "0.5", 24.0),
        row("jeidnn", "5ms", 9.0),
        row("jeidnn", "0.5", 99.0, 64),
        row(PLAIN, None, 40.0),
    ]
    add(path, one.cell, machine(), rows)
    add(path, one.cell, machine(2), [row("jeidnn", "0.5", 1.0)])
    parts = measured([tmp_path, tmp_path / "none"], one.cell)
    assert [part.machine.threads for part in parts] == [1, 2]
    assert finder(replace(one, measured=parts))["latency"] == {
        "where": f"{machine().title}, batch size 8",
        "date": "2026-11-30",
        "plain": 5.0,
        "policies": [["jeidnn", 0.5, 3.0]],
    }
    assert finder(one)["latency"] is None


BLOCKS = ("block 0", "block 2", "block 14", "head")


def test_commands_name_size_exits_and_the_network_s_folder_and_quote_what_a_shell_would_read():
    v2 = {"protocol_version": "v2"}
    plain = cell(dataset="cifar100lt[imbalance=50]", image_size=96, exit_names=BLOCKS, **v2)
    assert run_command(plain, (0, 1, 2)) == (
        "bench run --dataset 'cifar100lt[imbalance=50]' --backbone efficientnet_lite0 --image-size 96 --exits 0,2,14 "
        "--methods {method} --budgets {budget} --seeds 0-2"
    )
    tuned = cell(backbone="efficientnet_lite0_tuned_cifar100lt", image_size=96, limit=50, exit_names=BLOCKS)
    folder = "results/cifar100lt/efficientnet_lite0_tuned_cifar100lt/network"
    assert export_command(tuned, (1, 2)) == (
        f"bench export cifar100lt {{method}} {{budget}} --backbone {folder} --image-size 96 --exits 0,2,14 --limit 50 "
        "--seed 1 -o policy"
    )
    assert run_command(plain, (0, 2)).endswith("--seeds 0,2") and "--seed" not in export_command(plain, (0, 2))
    text = cell(dataset="banking77", backbone="minilm_l6", modality="text", exit_names=("embeddings", *BLOCKS), **v2)
    assert "--backbone minilm_l6 --exits -1,0,2,14 --methods" in run_command(text, ())
    assert "--exits" not in run_command(cell(backbone="cascade:resnet18@96+resnet50@224", exit_names=BLOCKS), ())
    assert lacking(plain) == lacking(tuned) == lacking(text) == []
    assert "protocol v1" in lacking(cell())[0]


def test_commands_take_the_folder_of_a_published_network_and_say_what_records_do_not_keep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = cell(dataset="cifar10", backbone="mine_tuned", exit_names=BLOCKS)
    assert "--backbone FOLDER --" in run_command(mine, (0,)) and "--backbone FOLDER --" in export_command(mine, (0,))
    (sentence,) = lacking(mine)
    assert "mine_tuned" in sentence and "FOLDER" in sentence
    network = tmp_path / "results" / "cifar10" / "mine_tuned" / "network"
    network.mkdir(parents=True)
    (network / "network.json").write_text("{}")
    assert "--backbone results/cifar10/mine_tuned/network --" in run_command(mine, (0,)) and lacking(mine) == []
    assert "full path in folder:photos" in lacking(cell(dataset="folder:/home/me/photos"))[0]
    assert "--plugin" in lacking(cell(dataset="rings"))[0]
    imported = cell(backbone="external:theirs", protocol_version="external")
    assert run_command(imported, (0,)).startswith("bench run --bank FOLDER --methods")
    assert export_command(imported, (0,)) == "" and "bench import" in lacking(imported)[0]
