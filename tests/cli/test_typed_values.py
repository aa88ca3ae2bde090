"""What the user typed: nothing is read as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config import build, read_yaml
from bench.errors import UserError
from bench.system import yaml_files
from bench.system.paths import user_path


def config_of(tmp_path: Path, text: str | bytes):
    file = tmp_path / "c.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return build(read_yaml(file), "the file")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("0-3", (0, 1, 2, 3)), ("7, 1-2", (7, 1, 2)), ("007", (7,)), ("5-5", (5,)), ([0, "4-6"], (0, 4, 5, 6)), (3, (3,))],
)
def test_seeds_may_be_ranges(typed, meant):
    assert build({"seeds": typed}, "x").seeds == meant


@pytest.mark.parametrize("typed", ["3-0", "0--3", "0-3-5", "0-999999999", "0_-3", "0..3", "0–3", "0-2,1", "1e2"])
def test_what_is_no_range_of_seeds_is_a_sentence(typed):
    with pytest.raises(UserError, match="seeds"):
        build({"seeds": typed}, "x")


@pytest.mark.parametrize(
    ("line", "name", "meant"),
    [
        ("dataset: no", "dataset", ("no",)),
        ("methods: [on, off]", "methods", ("on", "off")),
        ("dataset: 2024-01-01", "dataset", ("2024-01-01",)),
        ("seeds: 010", "seeds", (10,)),
        ("seeds: [0-2, 7]", "seeds", (0, 1, 2, 7)),
        ("timeout: 1e2", "timeout", 100.0),
        ("tuned: yes", "tuned", True),
        ("exits: [2, 5]", "exits", "2,5"),
        ("exits: 12", "exits", "12"),
        ("data-dir: ~", "data_dir", Path.home()),
        ("memory: null", "memory", None),
        ("memory:", "memory", None),
        ("backbone: 'timm:x'", "backbone", ("timm:x",)),
        ("\ufeffdtype: float32", "dtype", "float32"),
    ],
)
def test_a_value_means_what_it_means_on_the_command_line(tmp_path, line, name, meant):
    assert getattr(config_of(tmp_path, line), name) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: 1:30:00", "seeds"),
        ("limit: 1e2", "limit"),
        ("limit: 0x10", "limit"),
        ("threads: 00-4", "threads"),
        ("timeout: .inf", "timeout"),
        ("limit: 5\nlimit: 6\n", "'limit' is given twice"),
        ("image-size: 32\nimage_size: 64\n", "'image-size' twice"),
        ("budgets: [0.5, 0.5000]", "twice"),
        ("budgets: 0.33333333", "six digits"),
        (b"dataset: caf\xe9\n", "UTF-8"),
        ("dataset: digits".encode("utf-16-be"), "c.yaml"),
        ("dataset: digits".encode("utf-32"), "c.yaml"),
        (b"\x89PNG\r\n\x1a\n", "UTF-8"),
        ("dataset: " + "x" * yaml_files.LIMIT, "larger"),
        ("methods: " + "[" * 5000, "nested"),
        ("methods: &a [*a]", "nested"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{c}: &{c} [{','.join(['*' + b] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
            "aliases",
        ),
        ("output: $NO_SUCH_VARIABLE/x", "NO_SUCH_VARIABLE"),
        ("output: ''", "empty"),
        ("a: b: c", "YAML"),
        ("? [a]\n: b", "YAML"),
        ("x: !!python/object:os.system {}", "YAML"),
    ],
)
def test_a_config_file_that_cannot_be_meant_is_a_sentence(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        config_of(tmp_path, text)


def test_home_and_variables_are_expanded_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path / "p"))
    found = build(
        {"output": "~/o", "bank-dir": "${PLACE}/b", "data-dir": "$PLACE", "plugin": "~/m.py,$PLACE/n.py",
         "weights": "~/w.pth"},
        "x",
    )  # fmt: skip
    assert found.output == tmp_path / "o" and found.reports == tmp_path / "o" / "report"
    assert found.bank_dir == tmp_path / "p/b" and found.data_dir == tmp_path / "p"
    assert found.plugin == (tmp_path / "m.py", tmp_path / "p/n.py") and found.weights == str(tmp_path / "w.pth")
    assert build({"weights": "random"}, "x").weights == "random"


def test_a_path_that_exists_is_taken_as_it_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("$odd").mkdir()
    assert user_path("$odd") == Path("$odd") and user_path("cost$5") == Path("cost$5")
    monkeypatch.setenv("HOME", "")
    for typed in ("~nobody-by-this-name/x", "$UNSET_HERE", "${UNSET_HERE}/x", "a\0b", " "):
        with pytest.raises(UserError):
            user_path(typed)


def test_ranges_and_paths_work_on_the_command_line(bench, tmp_path):
    done = bench("publish", "-o", "")
    assert done.returncode == 2 and "empty" in done.stderr
    done = bench("report", "$UNSET_HERE/x")
    assert done.returncode == 2 and "UNSET_HERE" in done.stderr
