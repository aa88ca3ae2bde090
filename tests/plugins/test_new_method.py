from __future__ import annotations

import ast

import pytest

from bench.errors import UserError
from bench.plugins import registry, scaffold


def test_it_writes_two_files_and_says_what_comes_next(bench, tmp_path):
    done = bench("new-method", "my_rule", "--to", "here/it is")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "here" / "it is").iterdir()} == {"my_rule.py", "test_my_rule.py"}
    for command in ("bench run --plugin", "bench check --plugin", "python -m pytest"):
        assert command in done.stdout


@pytest.mark.parametrize("there", ["my_rule.py", "test_my_rule.py"])
def test_it_overwrites_nothing(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(UserError, match=f"{there}' exists already"):
        scaffold.write("my_rule", tmp_path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Rule", "Try 'my_rule'"),
        ("9lives", "starting with a letter"),
        ("", "starting with a letter"),
        ("../rule", "Try 'rule'"),
        ("class", "starting with a letter"),
        ("torch", "hide the Python module 'torch'"),
        ("json", "hide the Python module 'json'"),
        ("bench", "hide the Python module 'bench'"),
        ("all", "reserved word"),
        ("oracle", "reserved word"),
        ("jeidnn", "There is already a method 'jeidnn': bench.methods.jeidnn"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(tmp_path, name, says):
    with pytest.raises(UserError) as error:
        scaffold.write(name, tmp_path)
    assert says in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="another --to"):
        scaffold.write("my_rule", tmp_path / "file")


@pytest.mark.parametrize("name", ["gap", "method", "task", "tensor", "score", "my_rule2"])
def test_the_class_hides_none_of_the_names_that_the_file_uses(name):
    tree = ast.parse(scaffold.source(name))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    classes = [n.name for n in tree.body if isinstance(n, ast.ClassDef)]
    assert len(set(classes)) == 3 and not set(classes) & imported
    ast.parse(scaffold.test(name))


def test_the_names_of_references_are_not_for_methods():
    assert not set(registry.RESERVED["methods"]) & set(registry.plugins("methods"))
