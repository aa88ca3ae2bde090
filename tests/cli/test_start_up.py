"""What a command may import, and that nothing remembered is ever used after what it depends on changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.bank import source
from bench.bank.source import Request, Source
from bench.bank.status import bank_status
from bench.errors import UserError
from tests.helpers.commands import JOB, SMALL

HEAVY = ("torch", "torchvision", "timm", "pandas", "scipy", "sklearn", "mapie", "matplotlib", "datasets", "pyarrow")
SPY = """
import sys
from bench.cli import app
try:
    app(sys.argv[1:], standalone_mode=False)
finally:
    print("HEAVY", *sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def spied(environment, small_bank, tmp_path):
    """Run `bench …` in an empty folder; return what it printed, and which heavy packages it imported.

    The cache folder belongs to the test, because other tests change that of the run at the same time.
    """
    cache = tmp_path / "cache"
    shutil.copytree(small_bank.path, cache / "banks" / small_bank.path.name)

    def run(*words: object, **variables: str) -> tuple[str, list[str]]:
        command = [sys.executable, "-c", SPY.format(heavy=set(HEAVY)), *map(str, words)]
        where = {"cwd": tmp_path, "env": environment | {"BENCH_CACHE": str(cache)} | variables}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, **where)
        assert "Traceback" not in done.stderr, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("HEAVY")]
        return done.stdout, line.split()[1:]

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A folder of data with images and a checkpoint."""
    import numpy as np
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from bench import backbones

    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{i}.png")
    network = backbones.load("cifar_resnet20", num_classes=10, weights="random")
    state = {k.removeprefix("trunk."): v for k, v in network.state_dict().items()}
    state = {k.replace("head.", "linear."): torch.clone(v) for k, v in state.items()}
    save_file(state, folder / "resnet20_cifar10.safetensors")
    return folder


@pytest.fixture(scope="module")
def built(weights, tmp_path_factory) -> Path:
    """A folder with the bank of these images and weights."""
    folder = tmp_path_factory.mktemp("banks")
    Source(Request("folder:pets", "cifar_resnet20", exits="2,5", data_dir=weights, bank_dir=folder)).ensure("cpu")
    return folder


@pytest.mark.slow
def test_a_plan_of_a_built_bank_and_a_run_with_nothing_new_import_nothing_heavy(finished, spied):
    words = [*JOB[1:], "-o", finished[0] / "runs"]
    spied("plan", *words)  # remembers
    shown, heavy = spied("plan", *words)
    assert heavy == [] and "0 to do of 6 (6 done" in " ".join(shown.split())
    assert spied("run", "-n", *words)[1] == []
    shown, heavy = spied("run", "--no-report", *words)
    assert set(heavy) <= {"scipy"} and "nothing new" in shown  # the leaderboard's statistics


@pytest.mark.slow
def test_what_is_recalled_is_what_a_look_would_find(finished, spied):
    words = ["plan", "--json", *JOB[1:], "-o", finished[0] / "runs", "--seeds", "0,1,2"]
    looked_up, heavy = spied(*words)
    assert "torch" in heavy
    recalled, heavy = spied(*words)
    assert heavy == [] and json.loads(recalled) == json.loads(looked_up)


def test_recalled_trials_are_counted_and_then_run_like_others(small_bank, bench, environment, tmp_path):
    where = ["--seeds", "3", "--budgets", "0.6,1", "--no-report", "-o", tmp_path / "runs"]
    words = [*SMALL, "--methods", "msdnet_thresh", *where]
    assert bench("plan", *words).returncode == 0
    for file in (Path(environment["BENCH_CACHE"]) / "recalled").glob("methods-*"):
        file.unlink()  # so that methods are loaded although trials are recalled
    assert bench("run", *words).returncode == 0
    points = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("[0-9a-f]*.json")]
    assert {p["status"] for p in points} == {"ok"} and {p["point"]["budget"] for p in points} == {0.6, 1.0, None}
    assert {p.name for p in tmp_path.iterdir()} == {"runs"}


CHANGES = {
    "an image": lambda data, banks: (data / "pets/cats/0.png").write_bytes((data / "pets/dogs/0.png").read_bytes()),
    "one more image": lambda data, banks: shutil.copy(data / "pets/cats/0.png", data / "pets/dogs/new.png"),
    "one image less": lambda data, banks: (data / "pets/cats/0.png").unlink(),
    "weights": lambda data, banks: _flip(data / "resnet20_cifar10.safetensors"),
    "weights that are found earlier": lambda data, banks: _flip(
        Path(shutil.copy(data / "resnet20_cifar10.safetensors", data / "resnet20_cifar10.pth"))
    ),
    "features": lambda data, banks: _flip(next(banks.rglob("train.exit0.npy"))),
    "a file of the bank is gone": lambda data, banks: next(banks.rglob("test.labels.npy")).unlink(),
    "a stranger in the bank": lambda data, banks: (next(banks.rglob("manifest.json")).parent / "x").write_text(""),
    "the manifest": lambda data, banks: _flip(next(banks.rglob("manifest.json"))),
    "the bank is gone": lambda data, banks: shutil.rmtree(next(banks.rglob("manifest.json")).parent),
}


def _flip(file: Path) -> None:
    """Change a byte, and hide it: neither size nor time of the file differ."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_after_any_change_a_bank_is_looked_for_again(weights, built, tmp_path, monkeypatch, change):
    data, banks = (shutil.copytree(a, tmp_path / b) for a, b in ((weights, "data"), (built, "banks")))
    request = Request("folder:pets", "cifar_resnet20", exits="2,5", data_dir=data, bank_dir=banks)
    looked: list[object] = []
    monkeypatch.setattr(source, "bank_status", lambda *given: looked.append(given) or bank_status(*given))

    def status() -> object:
        try:
            return Source(request).status()
        except UserError as error:
            return str(error)

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    time.sleep(0.1)
    Source(request).ensure("cpu")
    assert status().state == "built" and looked == []
    CHANGES[change](data, banks)
    found = status()
    assert looked or isinstance(found, str)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "fresh"))
    assert found == status()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--exits", "2,6"],
        ["--image-size", "16"],
        ["--limit", "100"],
        ["--dtype", "float32"],
        ["--views", "1"],
        ["--precision", "bfloat16"],
        ["--channels-last"],
        ["--dataset", "digits,mnist5k"],
        ["--backbone", "cifar_resnet32"],
    ],
)
def test_other_words_are_another_bank(small_bank, bench, words):
    def digests(*more: str) -> set[str]:
        shown = bench("plan", "--json", *SMALL, "--methods", "msdnet_thresh", *more).stdout
        return {bank["digest"] for bank in json.loads(shown)["banks"]}

    assert digests(*words) - digests()


@pytest.mark.slow
def test_a_method_of_another_distribution_or_file_is_never_recalled(finished, spied, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from bench.methods.msdnet_thresh import MSDNetThreshold\n\n\nclass Mine(MSDNetThreshold):\n"
        '    """Mine."""\n\n    name = "mine"\n'
    )
    words = ["plan", *SMALL, "--plugin", "mine.py", "--methods", "mine,msdnet_thresh"]
    spied(*words)
    assert "torch" in spied(*words)[1]


NO_NETWORK = """
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError("a plan must not use the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from bench.cli import app
for words in {cases!r}:
    for command in ["plan", "--json"], ["run", "-n"]:
        app([*command, *words, "--methods", "msdnet_thresh"], standalone_mode=False)
        print(end="\\0")
"""
DOWNLOADS = (
    (["--dataset", "cifar100lt"], "CIFAR-100 (169 MB)", 169_001_437),
    (["--dataset", "svhn"], "SVHN", 246_316_178),
    (["--dataset", "digits", "--backbone", "deit_tiny"], "weights of deit_tiny", None),
    (["--dataset", "hf:me/something"], "hf:me/something", None),
)


@pytest.mark.slow
def test_a_plan_downloads_nothing_and_says_what_a_run_would(environment, tmp_path):
    variables = environment | {"HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path), "BENCH_CACHE": str(tmp_path)}
    variables.pop("BENCH_DATA", None)
    command = [sys.executable, "-c", NO_NETWORK.format(cases=[words for words, *_ in DOWNLOADS])]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.split("\0")
    for (_, missing, size), plan, text in zip(DOWNLOADS, shown[::2], shown[1::2], strict=False):
        (bank,) = json.loads(plan)["banks"]
        assert bank["state"] == "to download" and missing in bank["problem"]
        assert (bank["to_download"], bank["digest"], bank["bytes"], bank["methods"]) == (size, None, None, [])
        assert "to download" in text and "Nothing was run or downloaded" in " ".join(text.split())


OPENED = """
import sys
from pathlib import Path
opened = set()
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.add(str(Path(arguments[0]).absolute()))
from bench.bank.source import Request, Source
sys.addaudithook(note)
for dataset, backbone in ("folder:pets", "cifar_resnet20"), ("mnist5k", "efficientnet_lite0"):
    source = Source(Request(dataset, backbone, limit=20, data_dir=Path(sys.argv[1])))
    opened.clear()
    source.plan.digest
    print(*(opened - source._recording.paths), sep="\\n")
"""


@pytest.mark.slow
def test_every_file_of_data_that_a_lookup_opens_is_watched(environment, weights):
    command = [sys.executable, "-c", OPENED, str(weights)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    system = ("/proc", "/sys", "/dev", "/etc", environment["BENCH_CACHE"])
    code = {".py", ".pyc", ".so", ".txt", ".json", ".toml", ".zip", ""}  # of packages, whose versions are watched
    strangers = [Path(path) for path in done.stdout.splitlines() if path and not path.startswith(system)]
    assert [path for path in strangers if path.suffix not in code or weights in path.parents] == []
