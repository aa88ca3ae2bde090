"""From a checkpoint and images to the table, through the command; and what the command says where it cannot run."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from bench.config import RunConfig
from bench.errors import UserError
from bench.reproduce import run
from bench.reproduce.availability import Availability
from bench.reproduce.grid import choose
from bench.reproduce.table import Result, as_text, rows

CELL = "svhn/t2t_vit_7"

[SVHN] = choose(CELL)


@pytest.fixture
def config(data_dir, tmp_path) -> RunConfig:
    return RunConfig(seeds=(0, 1), data_dir=data_dir, bank_dir=tmp_path / "banks", device="cpu", threads=1)


def test_a_cell_is_played_on_half_of_the_test_set(config, images, checkpoint, method):
    ran = run.run_cell(SVHN, checkpoint, config, method)
    assert method.asked == [(0, SVHN.lams), (1, SVHN.lams)]
    assert (ran.protocol, ran.variant) == ("v1-seen", None)
    assert (ran.sizes["pool"], ran.sizes["test"]) == (40, 40)
    assert [p.lam for p in ran.points] == [*SVHN.lams, None]
    costs = {p.lam: p.cost.value for p in ran.points}
    assert costs[None] == 1
    assert costs[0.05] > 1  # all heads and gates on top of the network
    assert costs[3] == pytest.approx(0.35, abs=0.02)  # tokens counted: the authors' counter says 0.22
    assert vars(ran.points[0].accuracy) == vars(ran.points[-1].accuracy)  # who never leaves early is the frozen network
    assert ran.points[0].accuracy.seeds == (0, 1)


def test_a_checkpoint_of_other_classes_is_refused(config, images, checkpoint, method, tmp_path):
    wrong = tmp_path / "cifar10_t2t-vit-7.pth"
    wrong.symlink_to(checkpoint)
    with pytest.raises(UserError, match="no classifier for the 10 classes of svhn"):
        run.run_cell(SVHN, wrong, config, method)
    assert not method.asked


def test_a_curve_of_the_wrong_length_is_an_error(config, images, checkpoint, method, monkeypatch):
    monkeypatch.setattr(method, "curve", lambda task, lam: [])
    with pytest.raises(ValueError, match="0 policies for 12"):
        run.run_cell(SVHN, checkpoint, config, method)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["released", "paper", "ours"])
def test_the_command_runs_the_real_method(command, images, data_dir, tmp_path, preset):
    table = tmp_path / "rows.csv"
    options = ["--data-dir", data_dir, "--bank-dir", tmp_path / "banks", "--device", "cpu", "--threads", 1]
    done = command("jeidnn", "--cells", CELL, "--preset", preset, "--seeds", 0, "-o", table, *options)
    assert done.exit_code == 0, done.output
    assert f"preset={preset}" in done.stdout
    assert "v1-seen" in done.stdout
    assert "Cells run: 1 of 1." in done.stdout
    with table.open() as file:
        found = list(csv.DictReader(file))
    assert [row["lambda"] for row in found] == [*(f"{x:g}" for x in SVHN.lams), "full"]
    ours = [float(row["our_cost"]) for row in found]
    assert 0.3 < min(ours) <= max(ours) < 1.01
    for row in found:
        gap = 100 * (float(row["our_accuracy"]) - float(row["published_accuracy"]))
        assert float(row["difference"]) == pytest.approx(gap, abs=1e-3)


@pytest.mark.slow
def test_the_command_as_json_and_again_from_its_bank(command, images, data_dir, tmp_path, method, monkeypatch):
    monkeypatch.setattr(run, "load_method", lambda spec: method)
    options = ["--data-dir", data_dir, "--bank-dir", tmp_path / "banks", "--seeds", "0,1", "--threads", 1]
    first, second = (command("jeidnn", "--cells", CELL, "--json", "--device", "cpu", *options) for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout == second.stdout
    [cell] = json.loads(first.stdout)["cells"]
    assert (cell["status"], cell["seeds"], cell["protocol"]) == ("ran", [0, 1], "v1-seen")
    assert cell["points"][0]["lambda"] == 0.05
    assert cell["points"][0]["published_accuracy"] == pytest.approx(0.917563)
    assert cell["points"][0]["our_accuracy_half"] is not None


def test_nothing_at_hand_prints_what_is_missing_and_what_was_published(command):
    done = command("jeidnn")
    assert done.exit_code == 0
    assert done.stdout.count("weights: not found.") == 7
    assert done.stdout.count("data: not found:") == 7
    assert "94.13" in done.stdout
    assert "Cells run: 0 of 7." in done.stdout


def test_a_dry_run_runs_nothing(command, images, data_dir, method, monkeypatch):
    monkeypatch.setattr(run, "load_method", lambda spec: method)
    done = command("jeidnn", "-n", "--data-dir", data_dir)
    assert done.exit_code == 0
    assert not method.asked
    assert "Cells run: 0 of 7. Available and not run: 1." in done.stdout


def test_a_cell_that_fails_is_told_and_ends_with_code_1(command, images, data_dir, method, monkeypatch):
    monkeypatch.setattr(run, "load_method", lambda spec: method)
    monkeypatch.setattr(method, "curve", lambda task, lam: 1 / 0)
    done = command("jeidnn", "--data-dir", data_dir, "--seeds", 0, "--device", "cpu")
    assert done.exit_code == 1
    assert "ZeroDivisionError" in done.stdout
    assert "not run, see above" in done.stdout  # the other cells are reported all the same


def test_a_file_found_by_name_that_does_not_fit_fails_its_cell(command, images, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    torch.save({"head.weight": torch.zeros(10, 256), "head.bias": torch.zeros(10)}, folder / "svhn_t2t-vit-7.pth")
    words = ["jeidnn", "--cells", CELL, "--data-dir", folder, "--device", "cpu"]
    assert command(*words).exit_code == 1
    assert command(*words, "--weights", folder / "svhn_t2t-vit-7.pth").exit_code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["msdnet"], "'msdnet' is not a valid paper"),
        (["jeidnn", "--preset", "release"], "Did you mean 'released'"),
        (["jeidnn", "--cost", "flops"], "layers, macs"),
        (["jeidnn", "--cells", "svhn/t2t_vit_14"], "Did you mean 'svhn/t2t_vit_7'"),
        (["jeidnn", "--weights", "a.pth"], "--cells"),
        (["jeidnn", "--seeds", "0,0"], "twice"),
        (["jeidnn", "--data-dir", "/no/such"], "/no/such"),
        (["jeidnn", "-o", "/no/such/rows.csv"], "--output"),
        (["jeidnn", "--cells", CELL, "--weights", "absent.pth"], "absent.pth"),
    ],
)
def test_mistakes_end_with_one_sentence_and_code_2(command, words, says):
    done = command(*words)
    assert done.exit_code == 2
    assert says in done.stderr


def _ran(cell, variant=None) -> Result:
    one = run.interval([0.5])
    points = tuple(run.Ours(p.lam, one, one) for p in cell.points)
    sizes = {"train": 4, "pool": 2, "test": 2}
    available = Availability(cell, None, "", None, "")
    return Result(available, "jeidnn", run.Ran(points, "v1-seen", variant, sizes, (0,)))


@pytest.mark.parametrize(
    ("name", "variant", "comparable"),
    [
        ("cifar100/t2t_vit_14", None, True),
        ("cifar100/t2t_vit_14", "unverified", True),
        ("cifar100/t2t_vit_14", "jpeg90", False),
        ("cifar100lt/t2t_vit_14", None, False),
    ],
)
def test_only_what_is_comparable_is_subtracted(name, variant, comparable):
    [cell] = choose(name)
    result = _ran(cell, variant)
    assert (result.not_comparable is None) == comparable
    assert all((row.difference is not None) == comparable for row in rows(result))
    assert ("n/c" in as_text([result])) != comparable


def test_the_terminal_table_stays_within_its_width():
    lines = as_text([_ran(cell) for cell in choose(None)]).splitlines()
    assert max(map(len, lines)) <= 81
