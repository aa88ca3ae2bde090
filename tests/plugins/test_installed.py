from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from bench.errors import UserError
from bench.plugins import registry
from tests.helpers.commands import SMALL
from tests.helpers.plugins import METHOD


def entry(name, value, dist):
    return EntryPoint(name, value, "bench.methods")._for(SimpleNamespace(name=dist))


def test_two_packages_with_one_name_are_an_error_that_names_both():
    found = [entry("a", "one:A", "first"), entry("a", "two:A", "second")]
    with pytest.raises(UserError, match=r"one:A \(from first\) and two:A \(from second\)"):
        registry.collect("methods", found)
    assert list(registry.collect("methods", [found[0], entry("a", "one:A", "first")])) == ["a"]


def test_a_package_is_found_by_its_entry_point(install, bench):
    install("mine", "plugin_of_mine", "print('noise')\n" + METHOD)
    (row,) = [r for r in json.loads(bench("list", "methods", "--json").stdout) if r["name"] == "mine"]
    assert row["summary"] == "A rule." and row["from"] == "plugin_of_mine" and row["broken"] is None
    assert "A rule.  (plugin_of_mine)" in bench("list").stdout


def test_a_broken_package_is_listed_with_its_reason_and_fails_only_when_asked_for(install, bench):
    install("mine", "plugin_of_mine", "import no_such_package\n")
    listed = bench("list", "methods")
    assert listed.returncode == 0 and "No module named 'no_such_package'" in listed.stdout
    (row,) = [r for r in json.loads(bench("list", "--json").stdout) if r["name"] == "mine"]
    assert "no_such_package" in row["broken"]
    done = bench("plan", *SMALL, "--methods", "mine")
    assert done.returncode == 2 and "plugin_of_mine" in done.stderr and "no_such_package" in done.stderr
    assert bench("plan", *SMALL, "--methods", "msdnet_thresh").returncode == 0


@pytest.mark.slow
def test_all_methods_are_all_that_work_and_the_rest_is_named(install, bench, tmp_path):
    install("mine", "plugin_of_mine", "raise RuntimeError('out of order')\n")
    (tmp_path / "here.py").write_text(METHOD.replace("'mine'", "'here'"))
    given = ["--methods", "all,msdnet_thresh[ratios=published]", "--plugin", "here.py"]
    done = bench("plan", *SMALL, *given, "--json")
    assert done.returncode == 0, done.stderr
    assert "'mine'" in done.stderr and "out of order" in done.stderr
    (bank,) = json.loads(done.stdout)["banks"]
    names = [row["method"] for row in bank["methods"]]
    assert {"here", "jeidnn", "entropy_thresh", "msdnet_thresh", "msdnet_thresh[ratios=published]"} <= set(names)
    assert "mine" not in names and len(names) == len(set(names))


def test_two_installed_packages_with_one_name_stop_a_list(install, bench):
    install("mine", "plugin_one", METHOD)
    install("mine", "plugin_two", METHOD)
    done = bench("list", "methods")
    assert done.returncode == 2 and "plugin_one" in done.stderr and "plugin_two" in done.stderr


@pytest.mark.parametrize(
    ("name", "attribute", "says"),
    [("other", "M", "registered as 'other'"), ("mine", "absent", "absent"), ("mine", "C", "not a subclass of")],
)
def test_an_entry_point_that_leads_to_no_method_is_broken(install, name, attribute, says):
    install(name, "plugin_of_mine", METHOD, attribute=attribute)
    plugin = registry.find("methods", name)
    assert says in plugin.describe()[1]
    with pytest.raises(UserError, match=f"'{name}'.*is broken"):
        plugin.load()


def test_a_built_in_file_that_is_missing_or_wrong_is_broken(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module, says in (("no_such_module_at_all", "no module"), ("half_written", "SyntaxError")):
        summary, broken = registry.Plugin("methods", "x", f"{module}:X", "exitbench").describe()
        assert summary == "" and says in broken
