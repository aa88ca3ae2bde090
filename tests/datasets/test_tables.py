"""The five layouts of a dataset hold the same classes, splits and images; and what is wrong with tables is said."""

import gc
import io
import json
import tarfile

import datasets as hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import datasets, protocol
from bench.errors import UserError
from bench.system import notices
from tests.helpers.images import encode

NAMES = ("cat", "dog", "eel")
EACH = {"train": 8, "validation": 2, "test": 3}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(notices, "_told", set())
    hub.disable_progress_bars()
    yield
    hub.enable_progress_bars()


@pytest.fixture
def splits(images):
    """Encoded images and labels by split."""
    pixels = {part: images(3 * each, seed=each) for part, each in EACH.items()}
    return {part: ([encode(p) for p in array], np.arange(len(array)) % 3) for part, array in pixels.items()}


def cells(encoded):
    return [{"bytes": data, "path": None} for data in encoded]


def write_folders(root, splits):
    for part, (encoded, labels) in splits.items():
        for i, (data, label) in enumerate(zip(encoded, labels, strict=True)):
            path = root / part / NAMES[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def write_parquet(path, encoded, labels, names=NAMES):
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    table = pa.table({"image": pa.array(cells(encoded), CELL), "label": pa.array(labels, pa.int64())})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)


CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_hub(root, splits):
    for part, (encoded, labels) in splits.items():
        half = len(labels) // 2
        for shard, rows in enumerate((slice(half), slice(half, None))):
            write_parquet(root / "data" / f"{part}-0000{shard}-of-00002.parquet", encoded[rows], labels[rows])


def write_saved(root, splits):
    features = hub.Features({"image": hub.Image(), "label": hub.ClassLabel(names=list(NAMES))})
    made = {
        part: hub.Dataset.from_dict({"image": cells(encoded), "label": labels}, features=features)
        for part, (encoded, labels) in splits.items()
    }
    hub.DatasetDict(made).save_to_disk(str(root))


def write_tars(root, splits, classes=str):
    root.mkdir()
    for part, (encoded, labels) in splits.items():
        with tarfile.open(root / f"{part}-0000.tar", "w") as tar:
            for i, (data, label) in enumerate(zip(encoded, labels, strict=True)):
                for suffix, content in (("png", data), ("cls", classes(label).encode())):
                    entry = tarfile.TarInfo(f"{i:04}.{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


LAYOUTS = {"hub": write_hub, "saved": write_saved, "folders": write_folders, "tars": write_tars}


@pytest.mark.parametrize("layout", [*LAYOUTS, "classes"])
def test_the_five_layouts_hold_the_same(tmp_path, splits, layout):
    if layout == "classes":  # no splits: all images in class folders
        splits = {
            "": ([e for part, _ in splits.values() for e in part], np.concatenate([y for _, y in splits.values()]))
        }
    LAYOUTS.get(layout, write_folders)(tmp_path / "set", splits)
    data = datasets.load(f"{'folder' if layout in ('folders', 'classes') else 'hf'}:{tmp_path / 'set'}")
    assert data.class_names == (("0", "1", "2") if layout == "tars" else NAMES)
    rows = protocol.split(data, tuned=True)
    assert rows.protocol == "v1"
    if layout == "classes":
        assert np.bincount(data.labels).tolist() == [13] * 3
        assert [len(rows.train), len(rows.pool), len(rows.test)] == [23, 8, 8]
    else:
        counted = [np.bincount(data.labels[data.partition == part]).tolist() for part in ("train", "val", "test")]
        assert counted == [[each] * 3 for each in EACH.values()]
        assert [len(rows.train), len(rows.pool), len(rows.test)] == [24, 6, 9]
        write_folders(tmp_path / "same", splits)
        assert data.digest == datasets.load(f"folder:{tmp_path / 'same'}").digest


@pytest.mark.parametrize(
    ("train", "test", "part"),
    [
        ("TRAIN", "TEST", "test"),
        ("Training-00000-of-00001", "Testing-00000-of-00001", "test"),
        ("seg_train", "seg_test", "test"),
        ("Train/0000", "Dev/0000", "val"),
        ("set/train-00000-of-00001-0123456789abcdef", "set/eval-00000-of-00001-0123456789abcdef", "test"),
    ],
)
def test_the_names_of_files_tell_their_split(tmp_path, splits, train, test, part):
    write_parquet(tmp_path / f"{train}.parquet", *splits["train"])
    write_parquet(tmp_path / f"{test}.parquet", *splits["test"])
    partition = datasets.load(f"hf:{tmp_path}").partition
    assert [(partition == name).sum() for name in ("train", part)] == [24, 9]


def test_links_to_folders_of_tables_are_followed(tmp_path, splits):
    write_hub(tmp_path / "real", splits)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data").symlink_to(tmp_path / "real" / "data")
    (tmp_path / "real" / "data" / "again").symlink_to(tmp_path / "set")
    assert len(datasets.load(f"hf:{tmp_path / 'set'}")) == 39


@pytest.mark.parametrize(
    ("files", "spec", "sentence"),
    [
        (["train-00000-of-00003"], "", r"of its 3 shards .*, 2 are missing \(number 1, 2\)"),
        (["data/train-00001-of-00002"], "", r"1 are missing \(number 0\)"),
        (["train-00001-of-00003", "train-00003-of-00003"], "", r"1 are missing \(number 2\)"),
        (["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"], "", r"several versions \(of 1, 2\)"),
        (["test", "val"], "", r"no training split among test, val\. Name one: .*\[train=test\]"),
        (["train", "val", "dev"], "", r"2 splits that are named as its validation data \(dev, val\)"),
        (["train_small", "train_full"], "", "no training split among train_full, train_small"),
        (["train", "train/test"], "", "is named as train and as test"),
        (["clean/train-0", "noisy/train-0"], "", r"in several folders \(clean, noisy\)"),
        (["clean/train-0", "noisy/train-0"], "[config=clean]", "declares no configurations.*Write hf:.*/clean"),
        (["train", "test"], "[test=tset]", "no split 'tset' to use as test.* Did you mean 'test'"),
    ],
)
def test_what_the_names_of_files_leave_open_is_refused(tmp_path, splits, files, spec, sentence):
    for file in files:
        write_parquet(tmp_path / f"{file}.parquet", *splits["train"])
    with pytest.raises(UserError, match=sentence):
        datasets.load(f"hf:{tmp_path}{spec}")


def test_configurations_are_named(tmp_path, splits):
    for config, part in (("clean", "train"), ("noisy", "test")):
        write_parquet(tmp_path / config / "train-0.parquet", *splits[part])
    card = "".join(f"- config_name: {c}\n  data_files: {c}/*.parquet\n" for c in ("clean", "noisy"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{card}---\n")
    with pytest.raises(UserError, match=r"several configurations \(clean, noisy\)\. Name one: hf:.*\[config=clean\]"):
        datasets.load(f"hf:{tmp_path}")
    with pytest.raises(UserError, match=r"no configuration 'claen'.* Did you mean 'clean'"):
        datasets.load(f"hf:{tmp_path}[config=claen]")
    assert len(datasets.load(f"hf:{tmp_path}[config=noisy]")) == 9


def test_the_readme_may_name_the_classes(tmp_path, splits):
    encoded, labels = splits["train"]
    pq.write_table(pa.table({"image": pa.array(cells(encoded), CELL), "label": labels}), tmp_path / "train.parquet")
    names = "".join(f"          '{i}': {name}\n" for i, name in enumerate(NAMES))
    label = f"  - name: label\n    dtype:\n      class_label:\n        names:\n{names}"
    card = f"---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n{label}---\n"
    (tmp_path / "README.md").write_text(card)
    assert datasets.load(f"hf:{tmp_path}").class_names == NAMES
    write_parquet(tmp_path / "train.parquet", encoded, labels, names=NAMES[::-1])
    with pytest.raises(UserError, match=r"README .* and the files of split 'train' name the classes .* differently"):
        datasets.load(f"hf:{tmp_path}")


def test_splits_without_images_or_labels_are_left_out(tmp_path, splits, capsys):
    write_parquet(tmp_path / "train.parquet", *splits["train"])
    write_parquet(tmp_path / "test.parquet", [], [])
    table = pq.read_table(tmp_path / "train.parquet").drop_columns(["label"])
    pq.write_table(table, tmp_path / "val.parquet")
    write_parquet(tmp_path / "extra.parquet", *splits["test"])
    assert set(datasets.load(f"hf:{tmp_path}").partition) == {"train"}
    said = capsys.readouterr().err
    assert "Split 'test' of" in said and "Split 'val' of" in said and "test): extra" in said
    pq.write_table(table, tmp_path / "train.parquet")
    (tmp_path / "val.parquet").unlink()
    with pytest.raises(UserError, match="no label column among image"):
        datasets.load(f"hf:{tmp_path}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_broken_image_is_named_by_split_and_row(tmp_path, splits, layout):
    splits["test"][0][4] = splits["test"][0][4][:60]
    LAYOUTS[layout](tmp_path / "set", splits)
    data = datasets.load(f"hf:{tmp_path / 'set'}")
    place = "/test/dog/4.png" if layout == "folders" else "Row 4 of split 'test' of 'hf:"
    with pytest.raises(UserError, match=f"{place}.* cannot be read as an image"):
        data.read(range(len(data)))


def test_what_is_wrong_with_saved_datasets_and_tars_is_said(tmp_path, splits):
    write_saved(tmp_path / "saved", splits)
    shard = tmp_path / "saved" / "test" / "data-00000-of-00001.arrow"
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(UserError, match=r"test/data-00000-of-00001\.arrow.*\. Save the dataset again"):
        datasets.load(f"hf:{tmp_path / 'saved'}")
    shard.write_bytes(content)
    (tmp_path / "saved" / "test").rename(tmp_path / "saved" / "Testing")
    with pytest.raises(UserError, match="incomplete: its splits test have no folder"):
        datasets.load(f"hf:{tmp_path / 'saved'}")
    (tmp_path / "saved" / "dataset_dict.json").unlink()
    assert len(datasets.load(f"hf:{tmp_path / 'saved'}")) == 39
    write_tars(tmp_path / "tars", splits, classes=lambda label: NAMES[label])
    with pytest.raises(UserError, match=r"its \.cls contains a whole number"):
        datasets.load(f"hf:{tmp_path / 'tars'}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the library leaves metadata files open
def test_what_the_library_reads_alone_is_checked(tmp_path, splits):
    write_folders(tmp_path, {"TRAIN": splits["train"], "TEST": splits["test"]})
    for part in ("TRAIN", "TEST"):
        files = [str(p.relative_to(tmp_path / part)) for p in sorted((tmp_path / part).rglob("*.png"))]
        rows = "".join(f"{file},{file[:3]}\n" for file in files)
        (tmp_path / part / "metadata.csv").write_text(f"file_name,label\n{rows}")
    with pytest.raises(UserError, match=r"TEST of .* is named as test images.*Rename it to test"):
        datasets.load(f"hf:{tmp_path}")
    for part in ("TRAIN", "TEST"):
        (tmp_path / part).rename(tmp_path / part.lower())
    data = datasets.load(f"hf:{tmp_path}")
    assert data.class_names == NAMES and (data.partition == "test").sum() == 9
    gc.collect()


@pytest.mark.parametrize("content", ["", "[]", "5", '{"splits": 5}', '{"splits": [["a"]]}', "[" * 99_999])
def test_a_damaged_list_of_splits_is_a_sentence(tmp_path, splits, content):
    write_saved(tmp_path / "set", splits)
    (tmp_path / "set" / "dataset_dict.json").write_text(content)
    with pytest.raises(UserError, match=r"dataset_dict\.json .* cannot be read|have no folder"):
        datasets.load(f"hf:{tmp_path / 'set'}")
