"""Versions in the ids of records: which ids follow which version, and what has no version."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.files import load_file
from bench.trials import accepted, references
from bench.trials.accepted import Code, made_by_other_code
from bench.trials.identity import recipes_in, stated_version
from bench.trials.plan import REFERENCES
from bench.trials.record import record_id

NAMES = ("global_thresh", "entropy_thresh", "ztw", "entropy_thresh[heads=calibrated[base=ztw]]", REFERENCES)
PLUGIN = '''
from dataclasses import dataclass

from bench.method import Method
from bench.recipe import Recipe

@dataclass(frozen=True)
class Config:
    heads: str = "plain"

class Mine(Method):
    """Nothing."""

    name = "mine"
    Config = Config

    def fit(self, task, budgets):
        """Do nothing."""
        return [None for budget in budgets]

class Own(Recipe):
    """Nothing."""

    name = "own"
    Config = Config

    def fit(self, task):
        return None
'''
EDITED = PLUGIN.replace("return [None", "return ['edited'")
STATED = ('    name = "mine"\n', '    name = "mine"\n    version = 1\n')


@pytest.fixture
def ids(trial_of):
    def of(*names: str) -> dict[str, set[str]]:
        return {name: {record_id(trial_of(name).cell, p) for p in trial_of(name).points} for name in names}

    return of


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a function that writes and loads a plugin file."""
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})

    def load(text: str) -> None:
        (tmp_path / "mine.py").write_text(text)
        load_file(tmp_path / "mine.py")
        accepted._is_accepted.cache_clear()

    return load


def changed(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    assert all(after[name] == before[name] or not after[name] & before[name] for name in before)
    return [name for name in before if after[name] != before[name]]


def test_raising_the_version_of_a_method_changes_the_ids_of_that_method_alone(ids, monkeypatch):
    before = ids(*NAMES)
    monkeypatch.setattr(registry.load("methods", "ztw"), "version", 2, raising=False)
    assert changed(before, ids(*NAMES)) == ["ztw"]


def test_raising_the_version_of_a_recipe_changes_the_ids_of_all_methods_on_it(ids, monkeypatch):
    before = ids(*NAMES)
    recipe = registry.load("heads", "ztw")
    stated = recipe.version
    monkeypatch.setattr(recipe, "version", stated + 1)
    assert changed(before, ids(*NAMES)) == ["ztw", "entropy_thresh[heads=calibrated[base=ztw]]"]
    monkeypatch.setattr(recipe, "version", stated)
    monkeypatch.setattr(registry.load("heads", "plain"), "version", 2, raising=False)
    assert changed(before, ids(*NAMES)) == ["global_thresh", "entropy_thresh", REFERENCES]


def test_references_have_versions(trial_of, monkeypatch):
    def by_name() -> dict[str, set[str]]:
        trial, found = trial_of(REFERENCES), {}
        for point in trial.points:
            found.setdefault(point.method, set()).add(record_id(trial.cell, point))
        return found

    before = by_name()
    assert set(before) == set(references.VERSIONS) == set(references.MADE_BY)
    monkeypatch.setitem(references.VERSIONS, "oracle", 2)
    assert changed(before, by_name()) == ["oracle"]


def test_ids_do_not_depend_on_the_code_of_what_has_a_version(trial_of):
    trial = trial_of("entropy_thresh[heads=calibrated[base=ztw]]")
    point = trial.points[0]
    versions = {"calibrated[base=ztw]": "calibrated", "ztw": "ztw"}
    assert point.version == 1
    assert point.heads == {text: registry.load("heads", name).version for text, name in versions.items()}
    assert len(set(point.code.split("-"))) == 3
    edited = point.model_copy(update={"code": "a-b-c", "tuned": "tuned", "label": "shown"})
    assert record_id(trial.cell, edited) == record_id(trial.cell, point)
    for update in ({"version": 2}, {"heads": {}}, {"exit": 3} | {"point": "exit=3"}):
        assert record_id(trial.cell, point.model_copy(update=update)) != record_id(trial.cell, point)


def test_a_plugin_without_a_version_is_run_again_when_its_code_changes(ids, plugin):
    plugin(PLUGIN)
    names = ("mine", "global_thresh", "global_thresh[heads=own]")
    before = ids(*names)
    plugin(PLUGIN.replace("Do nothing", "Do nothing at all"))
    assert changed(before, ids(*names)) == []
    plugin(EDITED)
    assert changed(before, ids(*names)) == ["mine"]
    plugin(PLUGIN.replace("return None", "return 1"))
    assert changed(before, ids(*names)) == ["global_thresh[heads=own]"]


def test_a_plugin_with_a_version_keeps_its_ids_and_is_flagged(ids, plugin, trial_of):
    plugin(PLUGIN.replace(*STATED))
    before, old = ids("mine"), trial_of("mine").points[0]
    assert not made_by_other_code(old)
    plugin(EDITED.replace(*STATED))
    assert ids("mine") == before
    assert made_by_other_code(old) and not made_by_other_code(trial_of("mine").points[0])
    plugin(EDITED.replace(STATED[0], STATED[1].replace("1", "2")))
    assert changed(before, ids("mine")) == ["mine"]
    assert not made_by_other_code(old)  # of another version, whose code is not installed any more


def test_a_plugin_does_not_inherit_the_version_of_a_built_in(plugin):
    built_in = registry.load("methods", "global_thresh")
    assert stated_version(built_in) == 1
    derived = type("Derived", (built_in,), {"__module__": "somebody.else"})
    assert stated_version(derived) is None
    assert stated_version(type("More", (type("Base", (derived,), {"version": 3}),), {})) == 3


def test_a_version_is_a_whole_number(plugin):
    for wrong in ("'1'", "0", "1.5", "True", "None"):
        with pytest.raises(UserError, match=r"version is .* whole number"):
            plugin(PLUGIN.replace(STATED[0], STATED[1].replace("1", wrong)))


def test_accepted_code_is_not_flagged(trial_of, monkeypatch):
    point = trial_of("entropy_thresh[heads=calibrated[base=ztw]]").points[0]
    assert not made_by_other_code(point)
    own, *heads = point.code.split("-")
    for code in (["0" * 16, *heads], [own, "0" * 16, heads[1]], [own, heads[0], "0" * 16], [""]):
        assert made_by_other_code(point.model_copy(update={"code": "-".join(code)}))
    stated = registry.load("heads", "ztw").version
    more = (*accepted.accepted(), Code("heads", "ztw", stated, "1" * 16), Code("heads", "ztw", stated + 1, "2" * 16))
    monkeypatch.setattr(accepted, "accepted", lambda: more)
    assert not made_by_other_code(point.model_copy(update={"code": f"{own}-{heads[0]}-{'1' * 16}"}))
    assert made_by_other_code(point.model_copy(update={"code": f"{own}-{heads[0]}-{'2' * 16}"}))


def test_records_of_what_is_not_installed_are_not_flagged(trial_of):
    point = trial_of("entropy_thresh").points[0]
    assert not made_by_other_code(point.model_copy(update={"method": "not_installed"}))


def test_bases_of_recipes_are_found():
    assert list(recipes_in("calibrated")) == ["calibrated", "plain"]
    assert list(recipes_in("calibrated[base=calibrated[base=boosted]]"))[1:] == ["calibrated[base=boosted]", "boosted"]


def test_the_file_of_accepted_code_is_part_of_the_installed_package():
    from importlib.resources import files

    assert (files("bench.methods") / "digests.txt").is_file()
    assert len(set(accepted.accepted())) == len(accepted.accepted()) > 20
