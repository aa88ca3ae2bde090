"""Texts from parquet files: public sets by name, any set by hf:, and what their digests depend on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import datasets, protocol
from bench.datasets import digests, text_sets
from bench.datasets.official import FAMILY
from bench.errors import UserError
from tests.helpers.paths import SHARED

DATA = SHARED / "data" / "text"


def write_parquet(path: Path, columns: dict[str, list], names: tuple[str, ...] | None = None, label: str = "label"):
    table = pa.table(columns)
    if names:
        features = {label: {"names": list(names), "_type": "ClassLabel"}}
        features |= {c: {"dtype": "string", "_type": "Value"} for c in columns if c != label}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("name", "sizes", "splits", "first"),
    [
        ("banking77", {"train": 10_003, "test": 3_080}, (8_002, 2_001, 3_080), "I am still waiting on my card?"),
        (
            *("clinc150", {"train": 15_000, "val": 3_000, "test": 4_500}, (15_000, 3_000, 4_500)),
            "what expression would i use to say i love you if i were an italian",
        ),
    ],
)
def test_public_sets_are_official(name, sizes, splits, first, environment):
    if not DATA.is_dir():
        pytest.skip("needs the texts of the shared folder")
    found = datasets.load(name, data_dir=DATA)
    parts, counts = np.unique(found.partition, return_counts=True)
    assert dict(zip(parts.tolist(), counts.tolist(), strict=True)) == sizes
    assert found.variant is None and found.read([0]) == [first] and found.source == name
    split = protocol.split(found, tuned=True)
    assert (len(split.train), len(split.pool), len(split.test)) == splits
    assert datasets.load(name, data_dir=DATA / name).digest == found.digest
    assert protocol.has_seen(found, [name]) and not protocol.has_seen(found, ["cifar10"])


@pytest.fixture
def small(monkeypatch):
    """CLINC150 with 3 intents, 6 + 3 + 3 queries, and its class for what is out of scope."""
    from dataclasses import replace

    monkeypatch.setitem(FAMILY, "clinc150", replace(FAMILY["clinc150"], classes=3, train=6, val=3, test=3))
    names = ("weather", "oos", "alarm", "balance")
    return {
        "train": {"text": [f"query {i}" for i in range(8)], "intent": [0, 1, 2, 3, 3, 2, 1, 0]},
        "validation": {"text": ["a", "b", "c"], "intent": [0, 2, 3]},
        "test": {"text": ["d", "e", "f", "g"], "intent": [1, 0, 2, 3]},
    }, names


def test_queries_out_of_scope_are_left_out_and_classes_have_one_order(tmp_path, small):
    splits, names = small
    for split, columns in splits.items():
        write_parquet(tmp_path / "clinc150" / f"{split}-00000-of-00001.parquet", columns, names, "intent")
    found = datasets.load("clinc150", data_dir=tmp_path)
    assert found.class_names == ("alarm", "balance", "weather") and len(found) == 12
    assert [found.class_names[y] for y in found.labels[:6]] == ["weather", "alarm", "balance"] * 1 + [
        "balance",
        "alarm",
        "weather",
    ]
    assert found.read(np.flatnonzero(found.partition == "test")) == ["e", "f", "g"]
    assert found.variant == "unverified"
    (tmp_path / "clinc150" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"has no train-\*.parquet or test-\*.parquet"):
        datasets.load("clinc150", data_dir=tmp_path)


def test_a_set_that_is_missing_is_downloaded_from_the_hub(tmp_path, small, monkeypatch):
    import datasets as hub

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    splits, names = small
    asked = []

    def load_dataset(name, config, revision=None):
        asked.append((name, config, revision))
        if revision is None:
            raise RuntimeError("Dataset scripts are no longer supported")
        kind = hub.Features({"text": hub.Value("string"), "intent": hub.ClassLabel(names=list(names))})
        return hub.DatasetDict({s: hub.Dataset.from_dict(c, features=kind) for s, c in splits.items()})

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    assert len(datasets.load("clinc150")) == 12
    assert asked == [("clinc_oos", "plus", None), ("clinc_oos", "plus", text_sets.CONVERTED)]
    assert len(datasets.load("clinc150")) == 12 and len(asked) == 2


def test_a_folder_of_another_set_is_refused_by_name(tmp_path):
    for split in ("train", "test"):
        write_parquet(tmp_path / "banking77" / f"{split}-0.parquet", {"text": ["a", "b"], "label": [0, 1]}, ("x", "y"))
    with pytest.raises(UserError, match="does not have the 77 named classes of Banking77"):
        datasets.load("banking77", data_dir=tmp_path)
    with pytest.raises(UserError, match="takes no argument"):
        datasets.load("banking77:x", data_dir=tmp_path)


def test_any_set_of_texts_opens_by_hf(tmp_path):
    columns = {"idx": [0, 1, 2, 3], "sentence": ["a b", "c", "d e", "f"], "label": [0, 1, 0, 1]}
    write_parquet(tmp_path / "sst" / "train.parquet", columns, ("bad", "good"))
    found = datasets.load(f"hf:{tmp_path / 'sst'}")
    assert found.modality == "text" and found.read([2, 0]) == ["d e", "a b"]
    assert found.class_names == ("bad", "good") and found.labels.tolist() == [0, 1, 0, 1]
    assert found.keys.tolist() == [
        digests.text_key(text, y).encode() for text, y in zip(columns["sentence"], columns["label"], strict=True)
    ]


def test_pairs_and_columns_of_hf_are_named(tmp_path):
    columns = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": ["yes", "no"], "n": [1, 2]}
    write_parquet(tmp_path / "nli" / "train.parquet", columns)
    where = f"hf:{tmp_path / 'nli'}"
    with pytest.raises(UserError, match=r"several text columns \(premise, hypothesis\)"):
        datasets.load(where)
    found = datasets.load(f"{where}[text=premise,text_pair=hypothesis]")
    assert found.read([1]) == [("b", "d")] and found.name == "hf:nli[text=premise,text_pair=hypothesis]"
    for options, said in (
        ("[text=n]", "Column 'n' of .* does not contain texts"),
        ("[text=premise,image=n]", "cannot be read both as images and as texts"),
        ("[text=other]", "no column 'other' for text="),
    ):
        with pytest.raises(UserError, match=said):
            datasets.load(where + options)


def test_rows_of_hf_without_text_or_with_broken_text_are_named(tmp_path):
    write_parquet(tmp_path / "a" / "train.parquet", {"text": ["x", None, " ", "y"], "label": ["a", "b", "a", "b"]})
    with pytest.raises(UserError, match=r"Rows 1 and 2 of split 'train' of .* have no text in column 'text'"):
        datasets.load(f"hf:{tmp_path / 'a'}")
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffb")]
    )
    table = pa.table({"text": broken, "label": ["a", "b", "a"]})
    (tmp_path / "b").mkdir()
    pq.write_table(table, tmp_path / "b" / "train.parquet")
    with pytest.raises(UserError, match=r"Row 1 of split 'train' of .* has broken text in column 'text' \(not UTF-8\)"):
        datasets.load(f"hf:{tmp_path / 'b'}")


def test_a_key_depends_on_text_pair_and_label():
    keys = {digests.text_key(*args) for args in (("ab", 0), ("ab", 1), (("a", "b"), 0), (("ab", ""), 0), ("a b", 0))}
    assert len(keys) == 5 and all(len(key) == 32 for key in keys)
