"""A remembered lookup counts only while nothing that it depends on has changed."""

from __future__ import annotations

import os
import time

import pytest

from bench.system import recall as r


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(r, "TICK", 0)
    r._software.cache_clear()
    yield
    r._software.cache_clear()


@pytest.fixture
def data(tmp_path):
    """A folder with one file, written long enough ago to be remembered."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "labels").write_text("abc")
    time.sleep(0.02)
    return folder


def looked_up(request, *paths, value="found"):
    with r.recording() as found:
        r.watch(*paths)
    r.remember("test", request, value, found)
    return r.recall("test", request)


def test_an_answer_is_recalled_for_its_own_request_only(data):
    assert looked_up({"name": "a"}, data, data / "labels", data / "absent") == "found"
    assert r.recall("test", {"name": "b"}) is None and r.recall("other", {"name": "a"}) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "labels").write_text("abcd"),
        lambda folder: (folder / "labels").unlink(),
        lambda folder: (folder / "absent").write_text(""),
        lambda folder: (folder / "other").write_text(""),
        lambda folder: folder.rename(folder.with_name("elsewhere")),
        lambda folder: os.utime(folder / "labels", ns=(1, 1)),
    ],
)
def test_no_change_of_a_watched_path_is_missed(data, change):
    assert looked_up("x", data, data / "labels", data / "absent")
    change(data)
    assert r.recall("test", "x") is None


def test_a_change_that_hides_its_size_and_time_is_not_missed(data):
    file = data / "labels"
    before = file.stat()
    assert looked_up("x", file)
    file.write_text("xyz")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns and r.recall("test", "x") is None


def test_a_file_that_changes_during_the_lookup_is_not_remembered(data):
    with r.recording() as found:
        r.watch(data / "labels")
        (data / "labels").write_text("new")
    r.remember("test", "x", "found", found)
    assert r.recall("test", "x") is None


def test_a_lookup_that_depends_on_more_than_files_is_not_remembered(data):
    with r.recording() as found:
        r.unrepeatable()
    r.remember("test", "x", "found", found)
    assert r.recall("test", "x") is None


def test_outside_a_recording_nothing_is_noted(data):
    r.watch(data)
    r.watch_tree(data)
    r.unrepeatable()
    with r.recording() as found:
        pass
    assert not found.paths and found.repeatable


def test_a_tree_is_watched_down_to_its_empty_folders(data):
    (data / "a" / "empty").mkdir(parents=True)
    time.sleep(0.02)
    with r.recording() as found:
        r.watch_tree(data)
    r.remember("test", "x", 1, found)
    assert r.recall("test", "x") == 1
    (data / "a" / "empty" / "new").write_text("")
    assert r.recall("test", "x") is None


@pytest.mark.parametrize("name", ["HOME", "BENCH_DATA", "HF_HOME"])
def test_another_environment_recalls_nothing(data, monkeypatch, name):
    assert looked_up("x", data)
    monkeypatch.setenv(name, str(data))
    assert r.recall("test", "x") is None


def test_other_code_and_other_packages_recall_nothing(data, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    source = tmp_path / "code" / "method.py"
    source.write_text("x = 1\n")
    monkeypatch.setattr(r, "_locations", lambda package: [source.parent])
    r._software.cache_clear()
    assert looked_up("x", data)
    source.write_text("x = 2\n")
    r._software.cache_clear()
    assert r.recall("test", "x") is None
    assert looked_up("x", data)
    monkeypatch.setattr(r, "release", lambda name: ("0", 0))
    r._software.cache_clear()
    assert r.recall("test", "x") is None


def test_a_new_plugin_and_another_folder_recall_nothing(data, tmp_path, monkeypatch):
    assert looked_up("x", data)
    with monkeypatch.context() as inner:
        inner.setattr(r, "entries", lambda group: ())
        r._software.cache_clear()
        assert r.recall("test", "x") is None
    r._software.cache_clear()
    monkeypatch.chdir(tmp_path)
    assert r.recall("test", "x") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"state": 1, "paths": [], "value": 2}'])
def test_a_damaged_file_recalls_nothing(data, text):
    assert looked_up("x", data)
    (file,) = (r.cache_dir("recalled")).iterdir()
    file.write_text(text)
    assert r.recall("test", "x") is None


def test_a_cache_that_cannot_be_written_is_no_error(data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert looked_up("x", data) is None
