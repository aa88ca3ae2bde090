from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch

from bench.errors import UserError
from bench.plugins import registry, scaffold
from bench.plugins.files import load_file
from bench.trials.code import code_digest
from bench.trials.plan import load_methods, method_points
from tests.helpers.plugins import METHOD
from tests.helpers.tasks import make_task


@pytest.fixture
def rule(tmp_path):
    scaffold.write("my_rule", tmp_path)
    return tmp_path / "my_rule.py"


def test_a_file_registers_its_methods_and_head_recipes(tmp_path):
    file = tmp_path / "both.py"
    file.write_text(
        METHOD
        + "from bench.heads.plain import Plain\n"
        + "class Short(Plain):\n    'Few epochs.'\n    name = 'short'\n"
        + "class _Private(M): pass\n"
        + "from bench.methods.msdnet_thresh import MSDNetThreshold\n"
    )
    assert [(p.kind, p.name) for p in load_file(file)] == [("methods", "mine"), ("heads", "short")]
    assert registry.load("methods", "mine").__doc__ == "A rule."
    assert registry.find("heads", "short").describe() == ("Few epochs.", None)
    (method,) = load_methods(["msdnet_thresh[heads=short[epochs=1]]"])
    assert len(method.fit(make_task(60), [0.5])) == 1


def test_loading_again_changes_nothing_and_new_content_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "m.py"
    file.write_text(METHOD)
    load_file(file)
    first = registry.load("methods", "mine")
    load_file(str(file))
    assert registry.load("methods", "mine") is first
    file.write_text(METHOD.replace("'mine'", "'yours'"))
    load_file(file)
    assert registry.load("methods", "yours").name == "yours"
    with pytest.raises(UserError, match="no method 'mine'"):
        registry.load("methods", "mine")


def test_the_digest_is_of_the_content_wherever_the_file_lies(tmp_path, rule):
    load_file(rule)
    before = code_digest(registry.load("methods", "my_rule"))
    other = tmp_path / "elsewhere" / "renamed.py"
    other.parent.mkdir()
    rule.rename(other)
    registry.add(rule, [])
    load_file(other)
    assert code_digest(registry.load("methods", "my_rule")) == before
    other.write_text(other.read_text().replace("return best[:, 0] - best[:, -1]", "return best[:, 0]"))
    load_file(other)
    assert code_digest(registry.load("methods", "my_rule")) != before


def test_nothing_of_the_path_is_in_an_operating_point(rule):
    load_file(rule)
    (method,) = load_methods(["my_rule[growth=1.5]"])
    (point,) = method_points(method, [0.5], 0)
    assert point.label == "my_rule[growth=1.5]"
    assert str(rule.parent) not in point.model_dump_json()


@pytest.mark.slow
def test_another_process_that_loads_the_file_can_read_its_pickles(rule, tmp_path):
    load_file(rule)
    task = make_task(80)
    (method,) = load_methods(["my_rule"])
    (policy,) = method.fit(task, [0.6])
    (tmp_path / "policy.pickle").write_bytes(pickle.dumps((method.config, policy)))
    code = (
        "import pickle, sys; from pathlib import Path; from bench.plugins.files import load_file;"
        "load_file(sys.argv[1]);"
        "config, policy = pickle.loads(Path(sys.argv[2]).read_bytes());"
        "print(config.growth, *policy.thresholds.tolist())"
    )
    command = [sys.executable, "-c", code, str(rule), str(tmp_path / "policy.pickle")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1.0", *map(str, policy.thresholds.tolist())], done.stderr


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1\ny = undefined\n", "line 2, is broken: NameError: name 'undefined' is not defined"),
        ("x = 1\n\ndef f(:\n", "line 3, is broken: SyntaxError"),
        ("import no_such_package\n", "line 1, is broken: ModuleNotFoundError: No module named 'no_such_package'"),
        ("import json\njson.loads('{')\n", "line 2, is broken: JSONDecodeError"),
        ("import sys\nsys.exit('bye')\n", "line 2, is broken: SystemExit: bye"),
        ("x = 1\n", "does not define a plugin. A method or head recipe"),
        (METHOD.replace("    name = 'mine'\n", ""), "M has no `name`"),
        (METHOD.replace("'mine'", "'my rule'"), "'my rule' is not a valid name"),
        (METHOD.replace("'mine'", "'all'"), "'all' is a reserved word"),
        (METHOD.replace("def fit", "def fitt"), "M does not define fit"),
        (METHOD.replace("    Config = C\n", ""), "M.Config must be a frozen dataclass"),
        (METHOD.replace("class C: pass", "class C:\n    x: int"), "every field needs a valid default"),
        (METHOD.replace("'mine'", "'jeidnn'"), "Two methods are called 'jeidnn': bench.methods.jeidnn:JEIDNN"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, source, says):
    file = tmp_path / "m.py"
    file.write_text(source)
    with pytest.raises(UserError) as error:
        load_file(file)
    assert says in str(error.value) and str(file) in str(error.value)
    assert "mine" not in registry.plugins("methods")


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path):
    for path in (tmp_path / "absent.py", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            load_file(path)


def test_two_files_with_one_name_are_an_error_that_names_both(tmp_path):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(METHOD)
    load_file(tmp_path / "one.py")
    with pytest.raises(UserError) as error:
        load_file(tmp_path / "two.py")
    assert "one.py" in str(error.value) and "two.py" in str(error.value)
    assert registry.find("methods", "mine").file == tmp_path / "one.py"


def test_a_file_changed_within_one_second_is_not_taken_from_a_cache(tmp_path):
    file = tmp_path / "m.py"
    for number in (1, 2):
        file.write_text(METHOD + f"\nNUMBER = {number}\n")
        load_file(file)
        module = sys.modules[registry.load("methods", "mine").__module__]
        assert number == module.NUMBER
    assert not (tmp_path / "__pycache__").exists()


def test_a_written_method_meets_its_budgets_and_growth_makes_later_exits_more_lenient(rule):
    load_file(rule)
    task = make_task(400)
    policies = {g: load_methods([f"my_rule[growth={g}]"])[0].fit(task, [0.6])[0] for g in (0.5, 1, 2)}
    assert all(torch.isneginf(p.thresholds[-1]) for p in policies.values())
    gaps = policies[1].score.all(policies[1].heads.logits(task.val))
    shares = {g: (gaps >= p.thresholds[:-1]).double().mean(0) for g, p in policies.items()}
    assert shares[0.5].diff().lt(0).all() and shares[1].diff().abs().max() < 0.01
    assert shares[2][-1] > shares[2][0]
