"""Logits of a network trained elsewhere become a bank whose heads are the network's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from bench import heads
from bench.bank.imported import import_logits
from bench.errors import NeedsTrain, UserError
from bench.plugins import registry

SIZES = {"train": 30, "pool": 40, "test": 50}


@pytest.fixture
def folder(tmp_path):
    """Logits of three exits and four classes, in the formats that may be given."""
    made = tmp_path / "logits"
    made.mkdir()
    rng = np.random.default_rng(0)
    for name, count in SIZES.items():
        labels = np.arange(count) % 4
        arrays = {
            f"exit_{k}": rng.normal(size=(count, 4)).astype("f4") + (k + 1) * np.eye(4, dtype="f4")[labels]
            for k in range(3)
        }
        arrays["labels"] = labels
        if name == "pool":
            save_file(arrays, made / "val.safetensors")
        else:
            np.savez(made / f"{name}.npz", **arrays)
    told = {"name": "mine", "dataset": "cifar100", "macs": [10_000, 25_000, 40_000]}
    (made / "macs.json").write_text(json.dumps(told))
    return made


def test_every_exit_answers_with_the_given_logits_at_the_given_cost(folder, tmp_path):
    bank = import_logits(folder, tmp_path)
    m = bank.manifest
    assert (m.backbone, m.protocol, m.macs, m.sizes) == ("external:mine", "external", (10_000, 25_000, 40_000), SIZES)
    task = bank.task(0)
    given = np.load(folder / "train.npz")
    fitted = heads.fit("native", task)
    answers = fitted.logits(task.train)
    for k in range(3):
        assert np.array_equal(answers[:, k].numpy(), given[f"exit_{k}"])
        assert fitted.macs(k) == 0
    cal, test = bank.held_out(0)
    assert len(task.val) == len(cal) == 20 and len(test) == 50
    assert torch.equal(test.labels, torch.arange(50) % 4)


def test_the_same_logits_are_the_same_bank_in_any_format(folder, tmp_path):
    bank = import_logits(folder, tmp_path)
    assert import_logits(folder, tmp_path).path == bank.path
    save_file(dict(np.load(folder / "test.npz")), folder / "test.safetensors")
    (folder / "test.npz").unlink()
    assert import_logits(folder, tmp_path).digest == bank.digest
    told = json.loads((folder / "macs.json").read_text())
    (folder / "macs.json").write_text(json.dumps({**told, "macs": [10_000, 25_000, 41_000]}))
    assert import_logits(folder, tmp_path).digest != bank.digest


def test_without_train_what_needs_it_says_so_and_rules_on_val_run(folder, tmp_path):
    (folder / "train.npz").unlink()
    task = import_logits(folder, tmp_path).task(0)
    with pytest.raises(NeedsTrain, match="no train split"):
        heads.fit("plain", task)
    rule = registry.load("methods", "global_thresh")
    (policy,) = rule(rule.Config(heads="native")).fit(task, (0.9,))
    assert not policy.note
    with pytest.raises(NeedsTrain):
        rule().fit(task, (0.9,))


def arrays_of(path):
    return dict(np.load(path))


def rewritten(name, change):
    def damage(folder):
        held = arrays_of(folder / name)
        change(held)
        np.savez(folder / name, **held)

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "macs.json").unlink(), "macs.json' cannot be read"),
        (lambda f: (f / "macs.json").write_text("[1"), "cannot be read"),
        (lambda f: (f / "macs.json").write_text('{"name": "a"}'), "is not valid: dataset"),
        (lambda f: (f / "macs.json").write_text('{"name": "a", "dataset": "d", "macs": [3, 3, 4]}'), "must rise"),
        (lambda f: (f / "macs.json").write_text('{"name": "a", "dataset": "d", "macs": [3, 4]}'), "has 3 exits"),
        (lambda f: (f / "test.npz").unlink(), "has no logits of test"),
        (lambda f: (f / "val.safetensors").unlink(), "has no logits of pool"),
        (lambda f: (f / "test.npz").write_bytes(b"PK"), "test.npz' cannot be read"),
        (lambda f: (f / "val.safetensors").write_bytes(b"\xff" * 99), "val.safetensors' cannot be read"),
        (lambda f: save_file(arrays_of(f / "test.npz"), f / "test.safetensors"), "are the same split"),
        (rewritten("test.npz", lambda a: a.pop("labels")), "no array 'labels'"),
        (rewritten("test.npz", lambda a: a.pop("exit_1")), "without a gap"),
        (rewritten("test.npz", lambda a: a.update(labels=a["labels"] + 0.5)), "one whole number for each sample"),
        (rewritten("test.npz", lambda a: a.update(labels=a["labels"] + 1)), "labels range from 1 to 4"),
        (rewritten("test.npz", lambda a: a.update(exit_1=a["exit_1"][:9])), "exit_1 is float32"),
        (rewritten("test.npz", lambda a: a.update(exit_1=a["exit_1"] * np.inf)), "not finite"),
        (rewritten("train.npz", lambda a: a.update(exit_2=a["exit_2"][:, :3])), "exit_2 has 3 classes instead of 4"),
    ],
)
def test_mistakes_are_sentences_and_leave_no_bank(folder, tmp_path, damage, says):
    damage(folder)
    with pytest.raises(UserError, match=says):
        import_logits(folder, tmp_path / "banks")
    assert not (tmp_path / "banks").exists()


def test_a_run_takes_the_bank(folder, tmp_path, bench):
    done = bench("import", folder, "--bank-dir", tmp_path / "banks")
    assert done.returncode == 0 and "cifar100 → external:mine: 3 exits, 30 train, 40 pool, 50 test" in done.stdout
    path = next((tmp_path / "banks").glob("cifar100--external*"))
    (folder / "train.npz").unlink()
    bench("import", folder, "--bank-dir", tmp_path / "less")
    less = next((tmp_path / "less").glob("cifar100--external*"))
    words = ["--methods", "global_thresh[heads=native],msdnet_thresh", "--seeds", "0", "-o", "runs"]
    done = bench("run", "--bank", f"{path},{less}", *words, "--no-report", "--budgets", "0.7")
    assert done.returncode == 0, done.stderr
    found = {}
    for file in (tmp_path / "runs").rglob("*.json"):
        record = json.loads(file.read_text())
        if "point" in record:
            whole = path.name.endswith(record["cell"]["bank_digest"][:12])
            found[whole, record["point"]["method"]] = record
    assert {found[key]["status"] for key in found if key != (False, "msdnet_thresh")} == {"ok"}
    assert (False, "global_thresh") in found and (False, "static") in found
    reason = found[False, "msdnet_thresh"]["reason"]
    assert found[False, "msdnet_thresh"]["status"] == "infeasible" and "no train split" in reason


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bank", "nowhere"], "nowhere'. `bench bank list` lists those on this machine"),
        (["--bank", "nowhere", "--dataset", "digits"], "'dataset' has no effect"),
    ],
)
def test_banks_that_cannot_be_used_are_sentences(bench, words, says):
    done = bench("run", *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split())
