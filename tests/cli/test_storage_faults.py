"""A disk that is full, or a folder that takes no files: a sentence, and nothing that was there is lost."""

from __future__ import annotations

import resource
from functools import partial

import pytest

from tests.helpers.commands import JOB as REPORTED
from tests.helpers.commands import numbers, results_safely

JOB = [*REPORTED, "--no-report"]
LARGEST = 2000  # bytes of a file that can still be written; a record takes more


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_from_there(finished, bench, start, tmp_path):
    assert bench(*JOB, "--seeds", "0").returncode == 0
    before = {path: path.read_bytes() for path in results_safely(tmp_path / "runs")}
    full = start(*JOB, first=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (LARGEST, LARGEST)))
    _, errors = full.communicate(timeout=300)
    assert full.returncode == 2 and "Traceback" not in errors, errors
    assert errors.startswith("bench: A record could not be written to the working store 'runs'")
    assert "make room, and run the same command again" in errors
    assert {path: path.read_bytes() for path in results_safely(tmp_path / "runs")} == before
    assert not list((tmp_path / "runs").rglob(".*.tmp")), "half a record was left behind"
    assert bench(*JOB).returncode == 0
    assert numbers(tmp_path / "runs") == numbers(finished[0] / "runs")


@pytest.mark.parametrize("option", ["--output", "--reports"])
def test_a_folder_that_takes_no_files_is_found_before_any_work(bench, tmp_path, option):
    (tmp_path / "file").write_text("")
    done = bench(*REPORTED, option, "file/folder")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot be written to" in done.stderr and option in done.stderr
    assert not done.stdout.strip()
