"""The GPU script's dry run, and what it does with a section that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.plugins import registry
from benchmarks import device

FEW = {"jeidnn", "mie_lap", "msdnet_thresh", "pcee"}


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the script in this process; return its exit code and its JSON."""

    def run(*words: str) -> tuple[int, dict]:
        target = tmp_path / "device.json"
        monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry._files})
        monkeypatch.setattr("sys.argv", ["device.py", "--dry-run", "-o", str(target), *words])
        return device.main(), json.loads(target.read_text())

    return run


@pytest.mark.slow
def test_dry_run(ran, monkeypatch):
    """Only with three methods; that every method repeats its numbers is one of the checks of `bench check`."""
    known = registry.plugins
    few = {name: plugin for name, plugin in known("methods").items() if name in FEW}
    monkeypatch.setattr(registry, "plugins", lambda kind: few if kind == "methods" else known(kind))
    code, report = ran()
    assert code == 0 and report["dry_run"] is True
    states = {name: found["status"] for name, found in report["sections"].items()}
    assert states == {"bank": "ok", "agreement": "ok", "jeidnn": "ok", "resident": "ok", "ray": "skipped"}
    assert report["sections"]["ray"]["reason"] == "fractional GPUs need a GPU"
    assert set(report["sections"]["bank"]["figures"]) == {*device.COMPUTE, "difference_between_devices"}
    fits = report["sections"]["agreement"]["figures"]
    assert set(fits) == FEW
    assert all(budget["other_exit"] == 0 for found in fits.values() for budget in found)  # twice on one device


@pytest.mark.parametrize("error", [RuntimeError("CUDA is out of memory"), SystemExit("gone"), None])
def test_a_section_that_fails_does_not_end_the_others(ran, monkeypatch, error):
    def fails(_, figures):
        figures["first"] = 1
        while error is None:
            pass
        raise error

    def works(_, figures):
        figures["speed"] = 2.0

    monkeypatch.setattr(device, "SECTIONS", {"broken": (fails, 0.2), "sound": (works, 60)})
    code, report = ran("--only", "broken,sound")
    broken, sound = report["sections"]["broken"], report["sections"]["sound"]
    assert code == 1 and broken["status"] == "failed" and broken["figures"] == {"first": 1}
    assert str(error or "no result within 0.2 seconds") in broken["reason"]
    assert sound["status"] == "ok" and sound["figures"] == {"speed": 2.0}


def test_all_sections_fit_into_eight_minutes():
    assert sum(limit + device.START_UP for _, limit in device.SECTIONS.values()) <= 8 * 60


@pytest.mark.slow
def test_a_section_in_a_process_of_its_own():
    assert device.apart("ray", 300, "--dry-run")["reason"] == "fractional GPUs need a GPU"
    assert device.apart("ray", 0.01, "--dry-run")["reason"] == "it hung and was stopped after 0.01 s"
    assert device.apart("ray", 300, "--wrong")["reason"] == "its process exited with code 2"


def test_an_unknown_section_is_named(ran, capsys):
    with pytest.raises(SystemExit):
        ran("--only", "bank,speed")
    assert "there is no section speed; valid: bank" in capsys.readouterr().err
