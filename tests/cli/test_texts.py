"""Texts from a CSV file through a made-up backbone: run, bank, records, execution, export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import bench as exitbench
from bench.bank import store
from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.costs import backbone_macs
from bench.errors import UserError
from bench.export.request import export_policy
from bench.session import Session
from tests.helpers.words import WORDS, Words, mails, tiny, write_csv

BACKBONE = "tests.helpers.words:tiny"


@pytest.fixture(scope="module")
def done(environment, tmp_path_factory) -> Path:
    """A folder with mails.csv and the store of a run on it, whose policies were executed as well."""
    from typer.testing import CliRunner

    from bench.cli import app

    folder = tmp_path_factory.mktemp("mails")
    write_csv(folder / "mails.csv", mails(240))
    words = ["run", "--dataset", f"csv:{folder / 'mails.csv'}", "--backbone", BACKBONE, "--bank-dir", folder / "banks"]
    words += ["--methods", "entropy_thresh,patience", "--seeds", "0", "--budgets", "0.6,1", "--threads", "1"]
    words += ["-o", folder / "runs", "--verify-executed", "48", "--dtype", "float32"]
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (folder / "output.txt").write_text(done.output)
    return folder


@pytest.fixture(scope="module")
def bank(done) -> Bank:
    (path,) = store.bank_paths(done / "banks")
    return Bank.open(path)


def config(folder: Path, **more: object) -> RunConfig:
    return RunConfig(**{
        "dataset": f"csv:{folder / 'mails.csv'}", "backbone": BACKBONE, "bank-dir": folder / "banks", "threads": 1,
        "methods": ["entropy_thresh"], "budgets": [0.6], "seeds": [0], "dtype": "float32", "output": folder / "runs",
        **more,
    })  # fmt: skip


def test_records_and_pages_name_tokens_and_executed_policies_agree(done, bank):
    frame = exitbench.load_records(done / "runs")
    assert set(frame["modality"]) == {"text"} and set(frame["image_size"]) == {bank.manifest.image_size}
    executed = frame[frame["executed_images"].notna()] if "executed_images" in frame else frame[:0]
    assert len(executed) == 4 - int((frame["status"] == "infeasible").sum())
    assert (executed["executed_exits_equal"] == 1).all() and (executed["executed_logit_difference"] < 1e-4).all()
    said = (done / "output.txt").read_text()
    assert "48 texts" in said and "images" not in said
    page = (done / "runs" / "report" / "README.md").read_text()
    assert f"{bank.manifest.image_size} tokens" in page and " px" not in page


def test_the_bank_holds_what_the_backbone_makes_of_each_text_alone(done, bank):
    from bench import datasets

    dataset = datasets.load(f"csv:{done / 'mails.csv'}")
    rows, backbone, words = bank.rows("test")[:9], tiny(num_classes=2), Words()
    for at, text in enumerate(dataset.read(rows)):
        for k, expected in enumerate(backbone.features(words.batch([text]))):
            torch.testing.assert_close(torch.from_numpy(bank.features("test", k)[at : at + 1].copy()), expected)
    assert len(set(bank.keys("test")) & set(bank.keys("train"))) == 0


def test_macs_are_those_of_the_mean_number_of_tokens_of_train(done, bank):
    from bench import datasets

    dataset = datasets.load(f"csv:{done / 'mails.csv'}")
    lengths = Words().lengths(dataset.read(bank.rows("train")))
    assert bank.manifest.image_size == round(float(np.mean(lengths)))
    assert bank.manifest.macs[:2] == backbone_macs(tiny(num_classes=2), bank.manifest.image_size)[:2]
    assert bank.manifest.transform == {"tokens": "whitespace words", "most": 16, "vocabulary": WORDS}


def test_modality_is_stored_where_it_is_not_image(bank, small_bank):
    assert json.loads((bank.path / "manifest.json").read_text())["modality"] == "text"
    assert "modality" not in json.loads((small_bank.path / "manifest.json").read_text())
    from bench.bank.cell import Cell, cell_of

    text, image = cell_of(bank), cell_of(small_bank)
    assert "modality" not in image.model_dump() and Cell.model_validate(image.model_dump()) == image
    assert text.model_dump()["modality"] == "text" and Cell.model_validate_json(text.model_dump_json()) == text
    assert text.title.endswith(" tokens") and image.title.endswith(" px")


def test_a_policy_runs_on_raw_texts(done, tmp_path):
    export_policy(config(done), tmp_path / "policy")
    loaded = exitbench.load_policy(tmp_path / "policy", backbone=BACKBONE)
    texts = [text for text, _ in mails(50, seed=5)]
    predictions, exits = loaded(texts, batch_size=7)
    again = [loaded([text]) for text in texts]
    assert torch.equal(predictions, torch.cat([p for p, _ in again]))
    assert torch.equal(exits, torch.cat([e for _, e in again]))
    right = [loaded.classes[p] == label for p, (_, label) in zip(predictions.tolist(), mails(50, seed=5), strict=True)]
    assert np.mean(right) > 0.7 and "tokens" in loaded.describe()
    for wrong, said in (
        ("a text", "put a single text into a list"),
        ([3], "A text has the type int"),
        ([" "], "Text 0 is empty"),
    ):
        with pytest.raises(UserError, match=said):
            loaded(wrong)
    with pytest.raises(UserError, match="without --onnx"):
        export_policy(config(done), tmp_path / "policy", onnx=True)


def test_another_tokenizer_is_refused(done, tmp_path, monkeypatch):
    export_policy(config(done), tmp_path / "policy")
    monkeypatch.setattr(Words, "size", 8)
    with pytest.raises(UserError, match="differs from that of the exported policy"):
        exitbench.load_policy(tmp_path / "policy", backbone=BACKBONE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": 1}, "--views is for images, and 'csv:mails.csv' has texts"),
        ({"channels-last": True}, "--channels-last is for images"),
        ({"backbone": "cifar_resnet20"}, r"'cifar_resnet20' reads images, and 'csv:mails.csv' has texts\. Backbones"),
        ({"backbone": "timm:resnet18", "weights": "random"}, "resnet18' reads images, and 'csv:mails.csv' has texts"),
        (
            {"dataset": "digits"},
            r"'tests.helpers.words:tiny' reads texts, and 'digits' has images\. .*Datasets of texts: .*csv, hf",
        ),
    ],
)
def test_what_does_not_fit_texts_is_explained(done, options, said):
    (source,) = Session(config(done, **options)).sources()
    with pytest.raises(UserError, match=said):
        source.status()


def test_a_limit_and_a_plan_count_texts(done, bench):
    words = ["--dataset", f"csv:{done / 'mails.csv'}", "--backbone", BACKBONE, "--methods", "patience", "--limit", "20"]
    planned = json.loads(bench("plan", *words, "--bank-dir", done / "banks", "--json").stdout)
    assert planned["banks"][0]["state"] == "to build" and planned["banks"][0]["images"] == 60
    listed = bench("bank", "list", "--bank-dir", done / "banks").stdout
    assert "tokens" in listed and "samples" in listed
