"""Plugin files of every kind: what `bench new` writes works as it is, and what is wrong with a file is a sentence."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import load_records
from bench.bank.outsiders import guarded, outsiders
from bench.check.kinds import checks
from bench.errors import UserError
from bench.plugins import registry, scaffold
from bench.plugins.files import load_file, load_files

KINDS = {"method": "methods", "head": "heads", "dataset": "datasets", "backbone": "backbones"}
IMAGES = "import numpy as np\nfrom bench.datasets.images import ImageDataset\n"
STAGED = "from bench.backbones.staged import StagedBackbone\n"
RECIPE = (
    "from dataclasses import dataclass\nfrom bench.recipe import Recipe\n@dataclass(frozen=True)\nclass C: pass\n"
    "class R(Recipe):\n    name = 'mine'\n    Config = C\n    def fit(self, task): ...\n"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """What `bench new` writes for each kind: its file by the kind's word."""
    folder = tmp_path_factory.mktemp("written")
    return {word: scaffold.write(f"my_{word}", folder, kind)[0] for word, kind in KINDS.items()}


@pytest.fixture
def named(bench, written):
    """Run a command with all four files."""
    return lambda *words: bench(*words, "--plugin", ",".join(map(str, written.values())))


@pytest.mark.parametrize("word", KINDS)
def test_a_written_file_registers_one_plugin_that_describes_itself(written, word):
    (plugin,) = load_file(written[word])
    assert (plugin.kind, plugin.name) == (KINDS[word], f"my_{word}")
    summary, problem = plugin.describe()
    assert problem is None and summary.endswith(".")
    assert plugin.made_by.startswith("file ") and str(written[word].parent) not in plugin.made_by


@pytest.mark.parametrize("word", KINDS)
def test_new_says_what_comes_next_and_the_list_shows_the_plugin(bench, word):
    done = bench("new", word, "mine")
    assert done.returncode == 0 and "bench check --plugin mine.py mine" in done.stdout
    assert f"--plugin mine.py --{'methods' if word == 'head' else word}" in done.stdout
    assert "mine" in bench("list", KINDS[word], "--plugin", "mine.py").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["metod", "mine"], "Did you mean 'method'"),
        (["head", "plain"], "There is already a head 'plain'"),
        (["dataset", "digits"], "There is already a dataset 'digits'"),
        (["backbone", "resnet18"], "There is already a backbone 'resnet18'"),
        (["dataset", "My-Data"], "'My-Data' is not a valid dataset name"),
        (["dataset", "store"], "uses the name 'store' for something else"),
        (["backbone", "block"], "uses the name 'block' for something else"),
        (["backbone", "torch"], "hide the Python module 'torch'"),
    ],
)
def test_a_name_that_cannot_be_used_is_a_sentence(bench, tmp_path, words, says):
    done = bench("new", *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "does not define a plugin. A method or head recipe is"),
        (IMAGES + "def mine(argument, data_dir): ...\n", "annotated to return an `ImageDataset`"),
        (IMAGES + "class Mine(ImageDataset): ...\n", "Mine is a class of datasets, and a dataset is a function"),
        (STAGED + "class Mine(StagedBackbone): ...\n", "Mine is a class of backbones, and a backbone is a function"),
        ("from bench.method import Policy\nclass Mine(Policy): ...\n", "Mine is a policy, which a method returns"),
        ("from bench.recipe import Heads\nclass Mine(Heads): ...\n", "Mine is fitted heads, which a recipe returns"),
        (IMAGES + "def mine(argument) -> ImageDataset: ...\n", "mine cannot be called as mine(argument, data_dir)"),
        (IMAGES + "def mine(a, b, c) -> ImageDataset: ...\n", "other parameters need defaults"),
        (
            IMAGES + "def digits(a, b) -> ImageDataset: ...\n",
            "Two datasets are called 'digits': bench.datasets.embedded",
        ),
        (STAGED + "def resnet18() -> StagedBackbone: ...\n", "Two backbones are called 'resnet18'"),
        (RECIPE.replace("'mine'", "'plain'"), "Two heads are called 'plain'"),
        (RECIPE + "class Other(R): ...\n", "Two heads are called 'mine'"),
        (RECIPE.replace("def fit", "def fitt"), "R does not define fit"),
        (STAGED + "def mine() -> StagedBackbone: ...\n" * 2, "defines mine 2 times (lines 2, 3)"),
        ("def mine() -> 'StagedBackbone': ...\n", "mine is annotated to return 'StagedBackbone', which cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_sentence(tmp_path, source, says):
    file = tmp_path / "m.py"
    file.write_text(source)
    with pytest.raises(UserError) as error:
        load_file(file)
    assert says in str(error.value) and str(file) in str(error.value)
    assert not any("mine" in registry.plugins(kind) for kind in registry.KINDS)


def test_check_backbone_takes_plugin_files(named):
    done = named("check-backbone", "my_backbone[width=2]", "--image-size", "24", "--num-classes", "3", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["conforms"], done.stdout


def test_a_union_and_a_quoted_annotation_count_and_helpers_do_not(tmp_path):
    file = tmp_path / "m.py"
    file.write_text(
        IMAGES + STAGED + "from bench.datasets.texts import TextDataset\n"
        "def data(a, b) -> ImageDataset | TextDataset: ...\ndef net() -> 'StagedBackbone': ...\n"
        "def _hidden(a, b) -> ImageDataset: ...\ndef helper() -> list[ImageDataset]: ...\n"
    )
    assert [(p.kind, p.name) for p in load_file(file)] == [("datasets", "data"), ("backbones", "net")]


@pytest.mark.parametrize("word", [word for word in KINDS if word != "method"])
def test_the_check_knows_each_kind(named, word):
    done = named("check", f"my_{word}", "--json")
    assert done.returncode == 0, done.stdout
    (row,) = json.loads(done.stdout)
    assert row[word] == f"my_{word}" and row["conforms"]
    assert [check["name"] for check in row["checks"] if check["status"] != "pass"] == []


@pytest.mark.slow
def test_a_run_with_plugins_of_every_kind_names_their_code_in_each_record(named, tmp_path):
    run = ["run", "--dataset", "my_dataset", "--backbone", "my_backbone", "--seeds", "0", "--budgets", "0.5,1"]
    run += ["--threads", "1", "--methods", "entropy_thresh[heads=my_head],my_method[heads=my_head]", "--no-report"]
    done = named(*run)
    assert done.returncode == 0, done.stdout + done.stderr
    records = load_records(tmp_path / "runs")
    assert set(records["status"]) == {"ok"} and set(records["dataset"]) == {"my_dataset"}
    told = dict(zip(records["method"], records["provenance"], strict=True))
    bank = {"dataset my_dataset", "backbone my_backbone"}
    assert set(told["static"]["plugins"]) == bank
    assert set(told["entropy_thresh[heads=my_head]"]["plugins"]) == bank | {"head my_head"}
    assert set(told["my_method[heads=my_head]"]["plugins"]) == bank | {"head my_head", "method my_method"}
    assert all(code.startswith("file ") for code in told["my_method[heads=my_head]"]["plugins"].values())
    assert "nothing new" in named(*run).stdout


def test_trials_run_apart_where_a_dataset_or_backbone_of_others_has_run(written, tmp_path, monkeypatch):
    from bench.config import RunConfig
    from bench.executors import serial
    from bench.session import Session

    load_files(written.values())
    asked = []
    monkeypatch.setattr(serial, "run", lambda *given, apart, **more: asked.append(apart) or iter(()))
    for dataset, backbone, apart in (("my_dataset", "my_backbone", True), ("digits", "cifar_resnet20", False)):
        weights = None if apart else "random"
        config = RunConfig(dataset=dataset, backbone=backbone, weights=weights, limit=40, output=tmp_path / dataset)
        with Session(config) as session:
            one = session.prepare(next(session.sources()))
            list(session.run(one.work))
        assert asked.pop() is apart


def test_searches_run_apart_too(monkeypatch):
    from bench.tune import serial

    class Fake:
        def __init__(self, *given):
            pass

        def ask(self, job):
            return "from a child"

        def end(self):
            pass

    monkeypatch.setattr(serial, "Child", Fake)
    jobs, rows = iter([SimpleNamespace(number=0), None]), []
    method = SimpleNamespace(name="entropy_thresh", config=None)
    search = SimpleNamespace(take=lambda: next(jobs), put=rows.append, bank=None, method=method)
    serial.run([search], "cpu", 1, None, lambda *_: None, lambda *_: None, apart=True)
    assert rows == ["from a child"]


def test_what_is_made_with_code_of_others(written):
    load_files(written.values())
    assert outsiders("digits", "resnet18") == {}
    assert set(outsiders("my_dataset", "my_backbone[width=4]")) == {"dataset my_dataset", "backbone my_backbone"}
    assert set(outsiders("digits", "cascade:my_backbone@32+resnet18")) == {"backbone my_backbone"}
    assert outsiders("digits", "nowhere:factory") == {"backbone nowhere:factory": "module"}


def test_what_code_of_others_changes_is_put_back_and_named():
    made_with = {"dataset mine": "file 0"}
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    with guarded(made_with):
        np.random.seed(3)  # noqa: NPY002 - which any code may
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    with (
        pytest.raises(UserError, match="torch's default dtype"),
        guarded(made_with),
    ):
        torch.set_default_dtype(torch.float64)
    assert torch.get_default_dtype() == torch.float32
    with pytest.raises(KeyError), guarded(made_with):
        torch.set_default_dtype(torch.float64)
        raise KeyError
    assert torch.get_default_dtype() == torch.float32


def test_a_bank_made_by_code_that_changes_more_than_its_own_is_not_kept(bench, tmp_path):
    scaffold.write("loud", tmp_path, "datasets")
    file = tmp_path / "loud.py"
    file.write_text(file.read_text().replace("    rng = ", "    __import__('os').environ['HOME'] = 'gone'\n    rng = "))
    words = ["--dataset", "loud", "--backbone", "cifar_resnet20", "--weights", "random", "--limit", "40"]
    done = bench("bank", "build", "--plugin", file, *words, "--bank-dir", "banks")
    assert done.returncode == 2 and "changed state that all code in this process shares: the environment" in done.stderr
    assert not list((tmp_path / "banks").glob("loud*"))


def test_comments_of_a_plugin_file_do_not_change_its_backbone(tmp_path):
    from bench import backbones

    scaffold.write("mine", tmp_path, "backbones")
    file, digests = tmp_path / "mine.py", []
    for text in (
        file.read_text(),
        "# a comment\n" + file.read_text(),
        file.read_text().replace("3, 2, 1", "3, 2, 1, 1"),
    ):
        file.write_text(text)
        load_file(file)
        digests.append(backbones.load("mine[width=2]").weights_digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("word", KINDS)
def test_the_written_tests_pass(written, monkeypatch, word):
    """Run the tests of the file's own arithmetic; the contract is what `bench check` examines."""
    monkeypatch.syspath_prepend(written[word].parent)
    found = importlib.import_module(f"test_my_{word}")
    (mark,) = found.test_contract.pytestmark
    assert mark.args[1] == [check.name for check in checks(KINDS[word])]
    own = [value for key, value in vars(found).items() if key.startswith("test_") and key != "test_contract"]
    assert own
    for test in own:
        test()
