from __future__ import annotations

import subprocess
import sys

import pytest

from bench.check import run, suite
from bench.errors import UserError
from tests.helpers import broken_methods as broken
from tests.helpers import good_method as good
from tests.helpers.plugins import write_plugin

test_good = suite(good.Good)


def test_the_suite_has_one_case_per_check_and_loads_the_method_only_when_it_runs():
    late = suite("no_such_method")
    (mark,) = late.pytestmark
    assert len(mark.args[1]) == len(run(good.Good))
    with pytest.raises(UserError, match="no_such_method"):
        late(mark.args[1][0])


def test_a_failing_check_fails_its_case_with_the_sentence_and_skips_what_builds_on_it():
    cases = suite(broken.Short)
    cases("config")
    with pytest.raises(pytest.fail.Exception, match="fit: fit returned 5 answers for 6 budgets"):
        cases("fit")
    with pytest.raises(pytest.skip.Exception, match="'fit' fails"):
        cases("replay")


def test_a_warning_is_shown_as_one(monkeypatch):
    from bench.check import workers

    monkeypatch.setattr(workers, "SLOW_INFERENCE", 1e-5)
    monkeypatch.setattr(workers, "ABSURD", 1e9)
    with pytest.warns(UserWarning, match="speed: fit"):
        suite(good.Good)("speed")


@pytest.mark.slow
def test_a_plugin_author_writes_two_lines(tmp_path):
    path = write_plugin(tmp_path, honest=False)
    (tmp_path / "test_last.py").write_text(
        f"from bench.check import suite\ntest_last = suite('to_the_end', [{str(path)!r}])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_last[budgets]" in done.stdout and "test_last[costs]" not in done.stdout
    assert "costs 1.0003 of the backbone on val" in done.stdout


def test_importing_the_kit_is_light():
    code = "import sys, bench.check; print(sorted({'torch', 'pytest', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
