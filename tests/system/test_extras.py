from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from bench.system.extras import EXTRAS, lacking
from tests.helpers.paths import ROOT
from tests.helpers.records import records, write

WITHOUT = """if True:
    import sys
    class Lacking:
        def find_spec(self, name, path=None, target=None):
            if name in {modules}:
                raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
    sys.meta_path.insert(0, Lacking())
    from bench.cli import main
    main()
"""


def without_extras(*words: object) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(modules=[module for modules in EXTRAS.values() for module in modules])
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_module_of_an_extra_is_of_a_package_that_it_installs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    of = packages_distributions()
    for extra, modules in EXTRAS.items():
        for module in modules:
            package = of[module][0].lower()
            assert any(line.startswith((f"{package}[", f"{package}>=")) for line in extras[extra]), module


def test_only_what_an_extra_installs_is_told():
    told = lacking(ModuleNotFoundError("No module named 'ray'", name="ray.tune"))
    assert told is not None and told.endswith("python -m pip install 'exitbench[ray]'.")
    assert lacking(ModuleNotFoundError("", name="numpy")) is lacking(ImportError("torch", name="torch")) is None


def test_without_extras_reports_are_made_and_a_run_says_what_to_install(tmp_path):
    store, out = (
        write(
            tmp_path / "store",
            records(methods=("jeidnn", "msdnet_thresh"), seeds=(0, 1), budgets=(0.5, 0.9), samples=100),
        ),
        tmp_path / "report",
    )
    made = without_extras("report", store, "--reports", out, "--format", "md,csv")
    assert made.returncode == 0, made.stderr
    assert (out / "README.md").is_file()
    run = without_extras("run", "-o", tmp_path / "runs")
    assert run.returncode == 2
    command = "python -m pip install 'exitbench[run]'"
    assert " ".join(run.stderr.split()) == f"bench: This needs torch, which is not installed. Install it: {command}."
