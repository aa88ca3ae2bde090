"""A setting's logits in one file: what it holds, what it refuses, and the bank that it becomes."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import bench
from bench import heads
from bench.bank.logits import Logits, load_logits
from bench.errors import UserError
from bench.system.network import ToDownload, no_downloads
from tests.helpers.logits import ABOUT, logits


@pytest.fixture
def made() -> Logits:
    return logits()


@pytest.fixture
def file(made, tmp_path):
    path = tmp_path / "logits.npz"
    path.write_bytes(made.dumps())
    return path


def test_a_file_gives_back_what_was_written_and_its_bytes_do_not_change(made, file):
    found = load_logits(file)
    assert found.about == ABOUT and found.dumps() == made.dumps()
    for one, other in ((found.pool, made.pool), (found.test, made.test)):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert found.test.labels.dtype == np.int64


def test_reading_needs_no_torch(file):
    code = f"import sys, bench; bench.load_logits({str(file)!r}).halves(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_becomes_a_bank_with_the_same_halves_costs_and_logits(made, file, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    bank = bench.open_bank(file)
    assert bench.open_bank(str(file)).path == bank.path
    assert bank.manifest.macs == ABOUT.macs and bank.manifest.backbone == "external:noise+native"
    task, (cal, test) = bank.task(3), bank.held_out(3)
    answers = heads.fit("native", task)
    for data, held in zip((task.val, cal, test), (*made.halves(3), made.test), strict=True):
        assert np.array_equal(answers.logits(data).numpy(), held.logits.astype("f4"))
        assert np.array_equal(data.labels.numpy(), held.labels)


def test_heads_chosen_on_val_of_a_seed_are_for_that_seed(made, file, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    plain = replace(made, about=replace(ABOUT, heads="plain", seed=2))
    file.write_bytes(plain.dumps())
    val, cal = plain.halves()
    assert set(val.keys).isdisjoint(cal.keys) and len(val.keys) + len(cal.keys) == 40
    assert np.array_equal(val.keys, made.halves(2)[0].keys)
    with pytest.raises(UserError, match="Use seed 2"):
        plain.halves(1)
    with pytest.warns(UserWarning, match="use seed 2 alone"):
        assert bench.open_bank(file).manifest.backbone == "external:noise+plain-seed2"


def test_an_address_is_downloaded_unless_downloads_are_off(made, file, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(file.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/logits.npz"
    try:
        assert load_logits(url).dumps() == made.dumps()
        assert bench.open_bank(url).path == bench.open_bank(file).path
        with pytest.raises(UserError, match=r"gone.npz' cannot be downloaded \(File not found\)"):
            load_logits(url.replace("logits", "gone"))
        with no_downloads(), pytest.raises(ToDownload):
            load_logits(url)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.pop("about"), "no array 'about'"),
        (lambda a: a.pop("test_keys"), "no array 'test_keys'"),
        (lambda a: a.update(about=np.frombuffer(b"[1", np.uint8)), "not a readable file of logits"),
        (lambda a: a.update(about=np.frombuffer(b'{"format": 9}', np.uint8)), "format 9"),
        (lambda a: a.update(about=np.frombuffer(b'{"format": 1}', np.uint8)), "not a readable file of logits"),
        (lambda a: a.update(pool_logits=a["pool_logits"].astype("f4")), "float32"),
        (lambda a: a.update(pool_logits=a["pool_logits"][:, :2]), r"\[40, 2, 4\]"),
        (lambda a: a.update(pool_logits=a["pool_logits"] * np.float16(np.inf)), "not finite"),
        (lambda a: a.update(test_labels=a["test_labels"] + 1), "classes from 0 to 3"),
        (lambda a: a.update(test_labels=a["test_labels"] + 0.5), "classes from 0 to 3"),
    ],
)
def test_what_is_not_such_a_file_is_refused(file, change, says):
    arrays = dict(np.load(file))
    change(arrays)
    np.savez(file, **arrays)
    with pytest.raises(UserError, match=says):
        load_logits(file)


def test_a_missing_or_damaged_file_is_a_sentence(file):
    file.write_bytes(file.read_bytes()[:300])
    for path in (file, file.with_name("none.npz")):
        with pytest.raises(UserError, match="is not a readable file of logits"):
            load_logits(path)
