"""Suites: what they fix never changes silently, and each of their settings is what a single command runs."""

from __future__ import annotations

import inspect
import json
import shlex

import pytest
import typer

from bench import backbones
from bench.cli import app
from bench.cli import options as o
from bench.errors import UserError
from bench.finetune.folder import name_of
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.suites import suite as suites
from bench.suites.runs import FIXED, check_networks, commands, runs
from tests.helpers.commands import numbers
from tests.helpers.paths import ROOT

# A published edition does not change. Whoever defines another one gives it a name of its own and adds its digest.
DIGESTS = {
    "exitbench-core-2026": "d23405b0b46d3205c493ab38a51f72ea8e59cdcfcdc2cabe7f6e5c0362b49540",
    "exitbench-lite-2026": "83ced01e1062f55e077da2417a6581615a33a1eba6c6c2da12bf5d8ca0cfacc3",
}
NONE = o.run_config(None, {})


def words_of(command: str) -> tuple[str, dict]:
    """Return the command's name and its options as the command line reads them."""
    program, name, *words = shlex.split(command)
    assert program == "bench"
    click = typer.main.get_command(app)
    with click.make_context("bench", [name, *words], resilient_parsing=True) as parent:
        return name, click.commands[name].make_context(name, words, parent=parent).params


def test_an_edition_is_never_changed_silently():
    assert {suite.edition: suite.digest for suite in suites.suites().values()} == DIGESTS


def test_the_page_of_the_suite_names_its_settings_and_digests():
    page = (ROOT / "docs" / "suite.md").read_text()
    for suite in suites.suites().values():
        assert suite.edition in page and f"`{suite.digest[:12]}`" in page
        rows = [
            line for setting in suite.settings for line in page.splitlines() if line.startswith(f"| `{setting.name}`")
        ]
        assert len(rows) == len(suite.settings)
        sizes = [f"{one.image_size} px" for one in suite.settings if one.image_size]
        assert [size for size in sizes if not any(f"| {size} |" in row for row in rows)] == []


def test_every_change_of_what_is_run_changes_the_digest(monkeypatch, tmp_path):
    text = suites.DEFINITION.read_text()
    monkeypatch.setattr(suites, "DEFINITION", tmp_path / "suites.yaml")
    changes = [
        *(("image_size: 160", "image_size: 128"), ("views: 0", "views: 1"), ("seeds: 0-9", "seeds: 0-8")),
        *(
            ("heads: native", "heads: calibrated"),
            ("--exits joint", "--exits frozen"),
            ("dataset: clinc150", "dataset: x"),
        ),
    ]
    assert all(text.count(old) >= 1 for old, _ in changes)
    found = set()
    for old, new in [("# The suites", "# Suites"), *changes]:
        suites.DEFINITION.write_text(text.replace(old, new))
        found.add(suites.load("core").digest)
    assert DIGESTS["exitbench-core-2026"] in found and len(found) == 1 + len(changes)


def test_names_of_the_definition_exist():
    core, lite = suites.load("core"), suites.load("exitbench-lite-2026")
    assert len(core.settings) == 12 and len({setting.name for setting in core.settings}) == 12
    assert len(lite.settings) == 3 and set(lite.settings) < set(core.settings)
    for setting in core.settings:
        assert parse(setting.dataset).name in registry.plugins("datasets")
        assert (setting.network is not None) or parse(setting.backbone).name in registry.plugins("backbones")
    (core_run, *_), (lite_run, *_) = (runs(s, s.pick("caltech101"), NONE) for s in (core, lite))
    assert core_run.seeds == tuple(range(10)) and lite_run.seeds == (0, 1, 2)
    assert lite_run == core_run.model_copy(update={"seeds": lite_run.seeds})  # so lite's points are among those of core


def test_commands_make_the_networks_that_are_named():
    for setting in suites.load("core").settings:
        made, run = commands(suites.load("core"), setting) if setting.network else (None, None)
        if made is None:
            continue
        name, given = words_of(made)
        assert name == "finetune" and given["dataset"] == setting.dataset
        assert (
            name_of({**given, "recipe": {"exits": given["exits"]}}) == setting.backbone == given["output"].parent.name
        )
        assert given["output"] == words_of(run)[1]["backbone"] or str(given["output"]) == words_of(run)[1]["backbone"]


@pytest.mark.parametrize("name", ["core", "lite"])
def test_a_setting_runs_what_its_command_runs(name):
    suite = suites.load(name)
    for setting, config in zip(suite.settings, runs(suite, suite.settings, NONE), strict=True):
        _, given = words_of(commands(suite, setting)[-1])
        for other in ("suite", "settings", "config", "dry_run", "json_output", "help"):
            given.pop(other, None)
        assert o.run_config(None, given) == config


def test_what_is_fixed_is_all_that_records_depend_on():
    """An option of `bench run` is fixed, or chooses rows or how and where the work is done."""
    free = {
        *("plugin", "methods", "data_dir", "bank_dir", "output", "reports", "device", "threads", "rerun", "report"),
        *("verify_executed", "executor", "jobs", "ray_address", "gpus_per_trial", "timeout", "retries", "memory"),
    }
    assert {*FIXED, *free} == set(type(NONE).model_fields) and not free & set(FIXED)
    assert set(inspect.signature(backbones.load).parameters) & free == {"data_dir"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--suite", "core", "--seeds", "0"], "'seeds' is fixed by the suite exitbench-core-2026"),
        (["--suite", "core", "--limit", "9"], "'limit' is fixed"),
        (["--suite", "core", "--dataset", "digits"], "'dataset' is fixed"),
        (["--suite", "core", "--tuned"], "'tuned' is fixed"),
        (["--suite", "cores"], "There is no suite 'cores'. Did you mean 'core'?"),
        (["--suite", "core", "--settings", "cifar11"], "has no setting 'cifar11'. Did you mean 'cifar10'?"),
        (["--suite", "core", "--settings", ","], "--settings is empty"),
        (["--settings", "cifar10"], "--settings chooses settings of a suite. Add --suite"),
        (["--suite", "core", "--methods", "eef"], "Did you mean 'eefp'"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_would_change_a_suite_is_refused(bench, command, words, says):
    done = bench(command, *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_a_config_file_cannot_change_a_suite_either(bench, tmp_path):
    (tmp_path / "run.yaml").write_text("seeds: 0-4\n")
    done = bench("run", "-c", "run.yaml", "--suite", "lite")
    assert done.returncode == 2 and "'seeds' is fixed by the suite exitbench-lite-2026" in done.stderr


def test_a_missing_network_is_named_with_the_command_that_makes_it(bench):
    done = bench("run", "--suite", "core", "--settings", "fashion_mnist,banking77")
    made = suites.load("core").pick("fashion_mnist")[0].network
    assert done.returncode == 2 and made.command in done.stderr and "--settings" in done.stderr
    done = bench("plan", "--suite", "core", "--settings", "fashion_mnist")
    assert done.returncode == 2 and made.command in done.stderr


def test_suites_are_listed(bench):
    rows = json.loads(bench("list", "suites", "--json").stdout)
    assert [(row["name"], row["edition"]) for row in rows] == [
        ("core", "exitbench-core-2026"),
        ("lite", "exitbench-lite-2026"),
    ]
    shown = bench("list", "suites", "lite").stdout
    assert suites.load("lite").digest in shown and "--backbone 'minilm_l6[pooling=mean]'" in shown
    assert all(setting.name in shown for setting in suites.load("lite").settings)
    assert "There is no suite 'light'" in bench("list", "suites", "light").stderr


TINY = """
options: {methods: all, budgets: "0.5,1"}
networks: {mine: {dataset: digits, made_by: --backbone cifar_resnet20}}
settings:
  - {dataset: digits, backbone: "cifar_resnet20[weights=random,exits='2,5']"}
  - {dataset: "folder:nothing", backbone: "cifar_resnet20[weights=random]"}
  - {dataset: digits, backbone: "cifar_resnet32[weights=random,exits=stages]", image_size: 8, heads: boosted}
  - {dataset: digits, backbone: mine}
suites:
  whole: {edition: whole-1, seeds: 0-1, settings: all}
  tiny:
    edition: tiny-1
    seeds: "0"
    settings: [digits/cifar_resnet20, folder:nothing/cifar_resnet20, digits/cifar_resnet32]
"""
OWN = ["--methods", "global_thresh", "--threads", "1", "--no-report"]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Define a suite of three settings, one of which has no data."""
    (tmp_path / "suites.yaml").write_text(TINY)
    monkeypatch.setattr(suites, "DEFINITION", tmp_path / "suites.yaml")
    return suites.load("tiny")


@pytest.mark.slow
def test_a_suite_leaves_the_records_of_its_single_commands(small_bank, tiny, bench, tmp_path):
    done = bench("run", "--suite", "tiny", *OWN)
    assert done.returncode == 1 and "Setting 3 of 3: digits/cifar_resnet32" in done.stdout
    assert "Not complete: folder:nothing/cifar_resnet20. Run the same" in done.stdout
    assert "nothing does not exist" in done.stderr
    for setting, methods in zip(tiny.pick("digits"), (OWN[1], "global_thresh[heads=boosted]"), strict=True):
        _, _, *words = shlex.split(commands(tiny, setting)[-1])
        words[words.index("--methods") + 1] = methods
        assert bench("run", *words, *OWN[2:], "-o", "single").returncode == 0
    made = numbers(tmp_path / "runs")
    assert made == numbers(tmp_path / "single") and len(made) == 2 * (3 * 2 + 3 + 1)
    planned = bench("plan", "--suite", "tiny", *OWN)
    assert planned.returncode == 0 and "folder:nothing/cifar_resnet20: " in planned.stdout
    assert "0 to do of 4" in planned.stdout and bench("run", "--suite", "tiny", *OWN, "-n").stdout == planned.stdout
    plan = json.loads(bench("plan", "--suite", "tiny", *OWN, "--json").stdout)
    assert plan["trials"]["done"] == 4 and len(plan["banks"]) == 2 and len(plan["problems"]) == 1
    again = bench("run", "--suite", "tiny", "--settings", "digits", *OWN)
    assert again.returncode == 0 and again.stdout.count("nothing new") == 2


def test_a_published_network_is_taken_from_its_folder(tiny, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (setting,) = (whole := suites.load("whole")).pick("digits/mine")
    assert setting.network.missing
    setting.network.folder.mkdir(parents=True)
    (setting.network.folder / "network.json").touch()
    check_networks([setting])
    (config,) = runs(whole, [setting], NONE)
    assert config.backbone == ("results/digits/mine/network",) and config.seeds == (0, 1)


def test_a_user_who_names_heads_keeps_them():
    suite = suites.load("core")
    own = o.run_config(None, {"methods": "eefp,eefp[heads=boosted],ztw,global_thresh[heads=plain]"})
    (config,) = runs(suite, suite.pick("cifar100/efficientnet_lite0_joint_cifar100"), own)
    assert config.methods == ("eefp[heads=native]", "eefp[heads=boosted]", "ztw", "global_thresh[heads=plain]")
    with pytest.raises(UserError, match="Did you mean 'cifar100'"):
        suite.pick("cifar1000")
