from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.helpers.networks import HEAD, SMALL


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--methods", "jeidn"], "Did you mean 'jeidnn'"),
        (["run", "--methods", "jeidnn[im_los=uniform]"], "Did you mean 'im_loss'"),
        (["run", "--methods", "jeidnn[im_loss=magic]"], "'uniform', 'expected' or 'single'"),
        (["run", "--methods", "msdnet_thresh[heads=plane]"], "Did you mean 'plain'"),
        (["run", "--methods", "jeidnn[im_loss"], "never closed"),
        (["run", "--methods", ""], "at least one"),
        (["run", "--dataset", "cifar100l"], "Did you mean 'cifar100lt'"),
        (["run", "--dataset", "folder:/no/such/folder"], "/no/such/folder"),
        (["run", "--backbone", "vit_bas", "--dataset", "digits"], "Did you mean 'vit_base'"),
        (["run", "--exits", "every=99"], "blocks"),
        (["run", "--budgets", "0.5,2"], "above 0"),
        (["run", "--budgets", "half"], "budgets"),
        (["run", "--seeds", "0,0"], "twice"),
        (["run", "--device", "tpu"], "cuda"),
        (["run", "--dtype", "float8"], "float16"),
        (["run", "--rerun", "some"], "missing"),
        (["run", "-c", "absent.yaml"], "absent.yaml"),
        (["run", "-o", "/proc/nowhere"], "--output"),
        (["run", "--reports", "/proc/nowhere"], "--reports"),
        (["run", "--executor", "dask"], "'serial' or 'ray'"),
        (["run", "--executor", "serial", "--ray-address", "auto"], "needs the ray executor"),
        (["run", "--executor", "serial", "-j", "2"], "one trial at a time"),
        (["run", "--executor", "serial", "--gpus-per-trial", "0.5"], "'gpus-per-trial' is for the ray executor"),
        (["run", "--ray-address", "somewhere"], "HOST:PORT"),
        (["run", "--gpus-per-trial", "0.5", "--device", "cpu"], "exclude each other"),
        (["run", "--gpus-per-trial", "2"], "less than or equal to 1"),
        (["run", "-j", "2", "--device", "cuda:1"], "CUDA_VISIBLE_DEVICES"),
        (["run", "-j", "0"], "jobs"),
        (["run", "--timeout", "0"], "greater than 0"),
        (["run", "--timeout", "nan"], "finite"),
        (["run", "--retries", "-1"], "retries"),
        (["run", "--memory", "0"], "memory"),
        (["run", "--verify-executed", "0"], "verify-executed"),
        (["run", "--bank", "here", "--verify-executed", "5"], "needs data and a network"),
        (["latency", "--budgets", "fastms"], "Write 5ms, for example"),
        (["latency", "--budgets", "0ms"], "above 0, such as 5ms"),
        (["latency", "--batch-sizes", "1,x"], "Write, for example, 1,8,64,256"),
        (["latency", "--batch-sizes", "0"], "above 0"),
        (["latency", "--repeats", "3"], "30"),
        (["latency", "--methods", "jeidn"], "Did you mean 'jeidnn'"),
        (["plan", "--executor", "dask"], "'serial' or 'ray'"),
        (["report"], "bench run"),
        (["report", "/no/such"], "/no/such"),
        (["list", "method"], "Did you mean 'methods'"),
        (["runn"], "run"),
        (["run", "--method", "x"], "--methods"),
    ],
)
def test_bad_input_gives_one_sentence_and_code_2(bench, words, says):
    done = bench(*words)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and not done.stdout.strip()
    assert len(done.stderr.strip().splitlines()) <= 6


def test_a_config_file_is_checked_like_the_command_line(bench, tmp_path):
    (tmp_path / "run.yaml").write_text("method: [jeidnn]\n")
    done = bench("run", "-c", "run.yaml")
    assert done.returncode == 2 and "Did you mean 'methods'" in done.stderr and "run.yaml" in done.stderr
    (tmp_path / "run.yaml").write_text("seeds: [0, x]\n")
    assert "seeds" in bench("run", "-c", "run.yaml").stderr
    (tmp_path / "run.yaml").write_text("executor: serial\nray-address: auto\n")
    done = bench("run", "-c", "run.yaml")
    assert done.returncode == 2 and "run.yaml" in done.stderr and "needs the ray executor" in done.stderr
    (tmp_path / "run.yaml").write_text("- a\n- b\n")
    assert bench("run", "-c", "run.yaml").returncode == 2


def test_help_and_lists_import_nothing_heavy():
    code = (
        "import sys; from bench.cli import app; from typer.testing import CliRunner; r = CliRunner();"
        "assert r.invoke(app, ['--help']).exit_code == 0; assert r.invoke(app, ['run', '--help']).exit_code == 0;"
        "assert r.invoke(app, ['list']).exit_code == 0;"
        "heavy = {'torch', 'timm', 'pandas', 'datasets', 'mapie', 'matplotlib', 'sklearn', 'scipy', 'ray', 'optuna'};"
        "heavy &= set(sys.modules);"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_lists_name_every_kind_with_a_summary(bench):
    rows = json.loads(bench("list", "--json").stdout)
    names = {
        kind: {r["name"] for r in rows if r["kind"] == kind} for kind in ("methods", "heads", "datasets", "backbones")
    }
    assert {"jeidnn", "msdnet_thresh", "entropy_thresh"} <= names["methods"]
    assert {"mnist5k", "cifar100lt", "fashion_mnist", "folder", "hf"} <= names["datasets"]
    assert {"efficientnet_lite0", "t2t_vit_7", "clip_vit_b16", "cifar_resnet56"} <= names["backbones"]
    assert all(r["summary"] and "broken" not in r["summary"] for r in rows)


def test_a_factory_is_described_with_its_parameters(bench, write):
    write("nets_of_mine", HEAD + SMALL.replace("*, width: int = 16", "width=16, depth: int = 2"))
    told = json.loads(bench("list", "backbones", "nets_of_mine:small", "--json").stdout)
    assert told["description"] == "Three stages." and told["from"] == "nets_of_mine"
    rows = {row["name"]: (row["type"], row["default"]) for row in told["parameters"]}
    assert rows == {"width": ("int", 16), "depth": ("int", 2), "exits": ("str | none", None)}
    shown = bench("list", "backbones", "nets_of_mine:small").stdout
    assert "nets_of_mine:small (nets_of_mine)" in shown and "depth  int, default 2" in shown
    assert "has no 'smal'" in bench("list", "backbones", "nets_of_mine:smal").stderr


def test_shell_completion_is_offered(bench):
    assert "--install-completion" in bench("--help").stdout
