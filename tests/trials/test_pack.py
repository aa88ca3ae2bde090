"""The logits of a setting are those that its run scored."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import bench as exitbench
from bench.bank.imported import import_logits
from bench.bank.logits import load_logits
from bench.errors import UserError
from bench.trials.pack import FILE, logits_of, write_pack
from bench.trials.store import Store
from tests.helpers.commands import SMALL_CONFIG
from tests.helpers.logits import logits
from tests.helpers.pages import blocks
from tests.helpers.paths import ROOT

SEED = 1


@pytest.fixture(scope="module")
def store(small_bank, tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("pack") / "runs"
    exitbench.run("msdnet_thresh", seeds=[SEED], budgets=[0.6, 1.0], output=folder, **SMALL_CONFIG)
    return Store(folder)


def test_published_logits_give_the_scores_of_the_static_exits(bench, store, small_bank, tmp_path):
    done = bench("publish", "-o", store.root, "--to", tmp_path / "results", "--logits")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "results").rglob(FILE)
    assert path.name in done.stdout and path.with_name("scores.parquet").exists()
    held = load_logits(path)
    static = {r.point.exit: r for r in store.records() if r.point.method == "static"}
    assert len(static) == len(held.about.macs) == 3
    right = held.test.logits.argmax(-1) == held.test.labels[:, None]
    for k, record in static.items():
        assert right[:, k].mean() == pytest.approx(record.metrics["accuracy"], abs=0.003)
    assert held.about.macs[0] == static[0].metrics["macs"] and held.about.macs[-1] > static[2].metrics["macs"]
    assert (held.about.heads, held.about.seed, held.about.bank_digest) == ("plain", SEED, small_bank.digest)
    roles = small_bank.roles(SEED)
    for part, rows in zip(held.halves(), (roles.val, roles.cal), strict=True):
        assert np.array_equal(part.keys, small_bank.keys(roles.held)[rows])
    before = path.read_bytes()
    assert bench("publish", "-o", store.root, "--to", tmp_path / "results", "--logits").returncode == 0
    assert path.read_bytes() == before


def test_a_network_s_own_heads_are_packed_for_any_seed(tmp_path):
    given = logits()
    (tmp_path / FILE).write_bytes(given.dumps())
    found = logits_of(import_logits(tmp_path / FILE, tmp_path / "banks"), seed=3)
    assert (found.about.heads, found.about.seed) == ("native", None)
    assert (found.about.macs, found.about.full_macs) == (given.about.macs, given.about.macs[-1])
    for one, other in ((found.pool, given.pool), (found.test, given.test)):
        assert np.array_equal(one.logits, other.logits) and np.array_equal(one.labels, other.labels)
    assert not np.array_equal(found.halves(3)[0].logits, found.halves(4)[0].logits)
    assert len(found.halves()[0].labels) == 20


def test_logits_of_another_bank_or_of_other_scores_are_not_written(store, tmp_path):
    records = store.records()
    cell = records[0].cell
    with pytest.raises(UserError, match="not on this machine"):
        write_pack(cell, records, tmp_path, tmp_path / "banks")
    with pytest.raises(UserError, match="no records of static exits"):
        write_pack(cell, [r for r in records if r.point.kind == "method"], tmp_path)
    wrong = [r.model_copy(update={"metrics": r.metrics | {"accuracy": 0.01}}) for r in records]
    with pytest.raises(UserError, match="in its record"):
        write_pack(cell, wrong, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_example_of_the_page_needs_numpy_alone(store, tmp_path):
    records = store.records()
    path = write_pack(records[0].cell, records, tmp_path)
    (block,) = (b for b in blocks(ROOT / "docs" / "submitting.md") if b.language == "python")
    code = f"import sys; sys.modules['torch'] = None; FILE = {str(path)!r}\n{block.text}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    accuracy, cost = map(float, re.findall(r"\d\.\d{4}", done.stdout))
    with pytest.warns(UserWarning, match="use seed 1 alone"):
        bank = exitbench.open_bank(path)
    held = load_logits(path)
    budget = round(0.8 * held.about.full_macs / held.about.macs[-1], 6)  # of the bank's last exit
    found = exitbench.evaluate("global_thresh[heads=native]", bank, [SEED], [budget], references=False).iloc[0]
    assert accuracy == pytest.approx(found["accuracy"], abs=0.05)
    assert cost == pytest.approx(found["macs"] / held.about.full_macs, abs=0.05)
