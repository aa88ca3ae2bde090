"""The place a run happens in: containers, umask, odd homes, copies of records, other people's matplotlib settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.datasets import load
from bench.errors import UserError
from bench.system import cache, cpus
from bench.system.files import slug, write_atomic
from bench.trials import provenance
from bench.trials.published import PublishedStore
from bench.trials.store import Store
from tests.helpers.images import encode
from tests.helpers.records import records, write


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "150000 100000"}, 1),
        ({"cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 8),
        ({"a/cpu.max": "max 100000", "cpu.max": "200000 100000"}, 2),
        ({"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "not a number"}, 8),
        ({}, 8),
    ],
)
def test_limits_of_containers_count(monkeypatch, tmp_path, files, count):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text("4:cpu,cpuacct:/a\n1:name=systemd:/x\n0::/a\n")
    (tmp_path / "cpu,cpuacct").symlink_to(tmp_path / "cpu")
    monkeypatch.setattr(cpus, "ROOT", tmp_path)
    monkeypatch.setattr(cpus, "OWN", tmp_path / "own")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(8), raising=False)
    assert cpus.cpu_count() == count


def test_affinity_counts():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from bench.system.cpus import cpu_count; print(cpu_count())"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "1"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_that_the_user_chose(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "x", lambda file: file.write(b"1"))
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("script", ["exec sleep 30", "exit 128", "sleep 30", None])
def test_git_may_be_slow_broken_or_missing(monkeypatch, tmp_path, script):
    if script:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}" if script else str(tmp_path))
    monkeypatch.setattr(provenance, "PATIENCE", 0.2)
    assert provenance._git() == {"git_sha": None, "git_dirty": None}


def test_without_a_home_the_cache_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("BENCH_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UserError, match="BENCH_CACHE"):
        cache.cache_dir("x")
    assert not list(tmp_path.iterdir())


def test_folders_and_files_may_have_names_that_are_not_utf8(tmp_path):
    root = tmp_path / os.fsdecode(b"sch\xf6n")
    for name in (b"v\xf6gel", b"b\xe4ume"):
        (root / os.fsdecode(name)).mkdir(parents=True)
        for i in range(4):
            (root / os.fsdecode(name + b"/caf\xe9%d.png" % i)).write_bytes(encode(pixels(i)))
    found = load(f"folder:{root}")
    assert found.name == r"folder:sch\xf6n" and found.class_names == (r"b\xe4ume", r"v\xf6gel")
    assert len(found.digest) == 64


def pixels(i: int):
    import numpy as np

    return np.full((8, 8, 3), i, dtype=np.uint8)


def test_long_names_become_folders_of_their_own():
    names = ["x" * 300, "x" * 299 + "y", "a" * 100]
    found = [slug(name) for name in names]
    assert len(set(found)) == 3 and max(map(len, found)) < 200 and found[2] == names[2]


def test_copies_of_records_count_once(tmp_path):
    held = records(methods=("jeidnn",), seeds=(0,), samples=20)
    store = Store(write(tmp_path / "store", held))
    ids, digests = sorted(record.id for record in store.records()), store.digests()
    one = store.paths()[0]
    for copy in (".ipynb_checkpoints/x", ".Trash-0/files", "backup/" + str(one.parent.relative_to(store.root))):
        (store.root / copy).mkdir(parents=True)
        shutil.copy(one, store.root / copy)
    shutil.copy(one, one.with_name(f"copy of {one.name}"))
    assert sorted(record.id for record in store.records()) == ids and store.digests() == digests
    renamed = shutil.copy(one, one.with_name("0123456789abcdef0123.json"))
    with pytest.raises(UserError, match=r"0123456789abcdef0123\.json' is not .* copy of the record"):
        store.records()
    Path(renamed).unlink()
    published = PublishedStore(tmp_path / "results")
    published.write({held[0].cell: held})
    count = len(published.records())
    place = next((tmp_path / "results").glob("*/*"))
    shutil.copytree(place, tmp_path / "results/.Trash/a/b")
    assert len(published.records()) == count
    shutil.copytree(place, place.with_name("a copy"))
    with pytest.raises(UserError, match="copies of one setting"):
        published.records()


DRAW = (
    "from bench.report.figures.canvas import sheet; from bench.report.figures import render; import hashlib;"
    "print(hashlib.md5(render(sheet(width=3, body=1, keys=['a $b$']).figure, 'svg')).hexdigest())"
)


@pytest.fixture(scope="module")
def usual() -> str:
    return subprocess.check_output([sys.executable, "-c", DRAW], text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "settings"),
    [
        ("module://matplotlib_inline.backend_inline", b"font.size: 30\ntext.usetex: True\nsavefig.bbox: tight\n"),
        ("nonsense", b"backend: TkAgg\nno.such.key: 3\naxes.titlesize: wrong\n"),
        ("", b"caf\xe9: \xff\n"),
    ],
)
def test_other_settings_of_matplotlib_change_no_figure(tmp_path, usual, backend, settings):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    run, environment = [sys.executable, "-c", DRAW], os.environ | {"MPLBACKEND": backend}
    odd = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert odd.stdout == usual and not odd.stderr.strip(), odd.stderr
