"""Hugging Face datasets from local folders: columns, classes, splits, and what cannot be opened."""

import json

import datasets as hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import datasets
from bench.errors import UserError
from tests.helpers.images import encode


@pytest.fixture(autouse=True)
def no_bars():
    hub.disable_progress_bars()
    yield
    hub.enable_progress_bars()


def test_parquet_splits(tmp_path, images, write_parquet):
    base = tmp_path / "things"
    pixels = {part: images(count, seed=count) for part, count in (("train", 30), ("validation", 9), ("test", 12))}
    for part, array in pixels.items():
        labels = np.arange(len(array)) % 3
        write_parquet(base / f"{part}-00000-of-00001.parquet", array, labels, image="image", names=["a", "b", "c"])
    data = datasets.load(f"hf:{base}")
    assert (data.name, data.source, data.variant) == ("hf:things", "hf:things", None)
    assert data.class_names == ("a", "b", "c") and data.native_size == 6
    assert [(data.partition == p).sum() for p in ("train", "val", "test")] == [30, 9, 12]
    assert data.partition[30] == "val" and data.labels.tolist() == [i % 3 for n in (30, 9, 12) for i in range(n)]
    everything = np.concatenate(list(pixels.values()))
    for row, image in zip((50, 0, 31), data.read([50, 0, 31]), strict=True):
        np.testing.assert_array_equal(image, everything[row])
    assert data.digest == datasets.load("hf:things", data_dir=tmp_path).digest


def test_columns_by_name_and_text_labels(tmp_path, images):
    cells = [encode(array) for array in images(20)]
    kinds, colours = [("dog", "cat")[i % 2] for i in range(20)], [("red", "blue")[i // 10] for i in range(20)]
    pq.write_table(pa.table({"photo": cells, "kind": kinds, "colour": colours}), tmp_path / "set.parquet")
    with pytest.raises(UserError, match=r"several columns that may be its labels \(kind, colour\)"):
        datasets.load(f"hf:{tmp_path / 'set.parquet'}")
    with pytest.raises(UserError, match=r"no label column 'kinds'\. Did you mean 'kind'"):
        datasets.load(f"hf:{tmp_path / 'set.parquet'}[label=kinds]")
    data = datasets.load(f"hf:{tmp_path / 'set.parquet'}[label=kind,image=photo]")
    assert data.class_names == ("cat", "dog") and data.labels.tolist() == [1, 0] * 10
    assert data.name == "hf:set.parquet[image=photo,label=kind]"


def test_a_split_without_labels_is_passed_over(tmp_path, images, write_parquet):
    write_parquet(tmp_path / "set" / "train-0.parquet", images(10), np.arange(10) % 2, names=["a", "b"])
    write_parquet(tmp_path / "set" / "test-0.parquet", images(4), [-1] * 4, names=["a", "b"])
    assert set(datasets.load(f"hf:{tmp_path / 'set'}").partition) == {"train"}
    write_parquet(tmp_path / "set" / "test-0.parquet", images(4), [0, 1, -1, 0], names=["a", "b"])
    with pytest.raises(UserError, match=r"Row 2 of split 'test' .* has the label -1, which means no label"):
        datasets.load(f"hf:{tmp_path / 'set'}")


def test_numbers_that_skip_become_classes_in_order(tmp_path, images, write_parquet):
    write_parquet(tmp_path / "train.parquet", images(9), [7, 30, 2] * 3)
    data = datasets.load(f"hf:{tmp_path}")
    assert data.class_names == ("2", "7", "30") and data.labels.tolist() == [1, 2, 0] * 3


def test_image_folders_and_saved_datasets(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", ["cat", "dog"], 4)
    first = datasets.load(f"hf:{root}")
    hub.load_dataset(str(root), cache_dir=str(tmp_path / "c")).shuffle(seed=1).save_to_disk(str(tmp_path / "saved"))
    second = datasets.load(f"hf:{tmp_path / 'saved'}")
    assert first.digest == second.digest == datasets.load(f"folder:{root}").digest


def test_the_hub_out_of_reach_is_a_sentence(monkeypatch):
    def offline(*args, **options):
        raise ConnectionError("Couldn't reach the hub.\nand more")

    monkeypatch.setattr(hub, "load_dataset", offline)
    with pytest.raises(UserError) as error:
        datasets.load("hf:someone/something")
    assert "'hf:someone/something' cannot be opened (Couldn't reach the hub)" in str(error.value)


def test_a_folder_without_data_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="contains parquet files or image folders"):
        datasets.load(f"hf:{tmp_path}")


def test_hub_names_of_public_images_are_known(monkeypatch, images):
    features = hub.Features({"img": hub.Image(), "label": hub.ClassLabel(names=["a", "b"])})
    cells = [{"bytes": encode(array), "path": None} for array in images(8)]
    made = hub.Dataset.from_dict({"img": cells, "label": [0, 1] * 4}, features=features)
    monkeypatch.setattr(hub, "load_dataset", lambda *args, **options: hub.DatasetDict(train=made, extra=made))
    data = datasets.load("hf:uoft-cs/cifar10")
    assert (data.name, data.source, len(data)) == ("hf:uoft-cs/cifar10", "cifar10", 8)
    assert len(set(data.keys)) == 8


def put(path, images, labels, names=None, /, image="image", **more):
    """A parquet file of tiny images with a column `label` and more columns, class names in the schema."""
    cells = [{"bytes": encode(array), "path": None} for array in images(len(labels))]
    features = {image: {"_type": "Image"}} | ({"label": {"names": names, "_type": "ClassLabel"}} if names else {})
    for column, value in more.items():
        if isinstance(value, tuple):  # values and class names
            more[column], features[column] = value[0], {"names": value[1], "_type": "ClassLabel"}
    table = pa.table({image: cells, "label": labels, **more}).drop_columns([] if labels[0] != "none" else ["label"])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)


def test_class_names_of_each_parquet_split_are_matched(tmp_path, images):
    put(tmp_path / "train-0.parquet", images, [0, 1, 2] * 3, ["a", "b", "c"])
    put(tmp_path / "test-0.parquet", images, [0, 1, 2], ["c", "a", "b"])
    data = datasets.load(f"hf:{tmp_path}")
    assert data.class_names == ("a", "b", "c") and data.labels[9:].tolist() == [2, 0, 1]
    put(tmp_path / "train-1.parquet", images, [0, 1, 2], ["b", "a", "c"])
    with pytest.raises(UserError, match=r"train-0\.parquet and train-1\.parquet .* name the classes .* differently"):
        datasets.load(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("columns", "spec", "classes"),
    [
        ({"label": [0, 1] * 4, "source": ([0] * 8, ["web"])}, "", 2),
        ({"label": ["none"] * 8, "Labels": [0, 1, 2, 2] * 2, "kind": [0] * 8}, "", 3),
        ({"label": ["none"] * 8, "breed": ([0, 1] * 4, ["x", "y"]), "id": list(range(8))}, "", 2),
        ({"label": ["none"] * 8, "fine_label": [0, 1, 2, 2] * 2, "coarse_label": [0, 1] * 4}, "", 3),
        ({"label": ["none"] * 8, "cls": [0, 1] * 4, "__key__": list("abcdefgh")}, "", 2),
        ({"label": ["none"] * 8, "kind": [0, 1] * 4}, "[label=kind]", 2),
    ],
)
def test_the_label_column_is_known_by_name(tmp_path, images, columns, spec, classes):
    put(tmp_path / "train.parquet", images, columns.pop("label"), **columns)
    assert datasets.load(f"hf:{tmp_path}{spec}").num_classes == classes


@pytest.mark.parametrize(
    ("columns", "spec", "sentence"),
    [
        ({"kind": [0, 1] * 4}, "", r"a column that may be its labels \(kind\)\. Name one: hf:.*\[label=kind\]"),
        ({"class": [0, 1] * 4, "split": ["a"] * 8}, "", r"several columns .* \(class, split\)"),
        ({"a": ([0] * 8, ["x"]), "b": ([0] * 8, ["y"])}, "", r"several columns that may be its labels \(a, b\)"),
        ({"__index_level_0__": list(range(8)), "image_id": list(range(8))}, "", "no label column"),
        ({"id": list(range(8))}, "[label=id]", "different for each of its 8 samples"),
        ({"labels": [[0]] * 8}, "", "Column 'labels' .* a list for each row"),
        ({"label_": [[0]] * 8}, "[label=label_]", "Column 'label_' .* a list for each row"),
        ({"Label": [b"x"] * 8}, "", "Column 'Label' .* values of type binary"),
        ({"labels": [0.5] * 8}, "", r"label 0\.5, a float that is not a whole number"),
    ],
)
def test_a_label_column_is_never_guessed(tmp_path, images, columns, spec, sentence):
    put(tmp_path / "train.parquet", images, ["none"] * 8, **columns)
    with pytest.raises(UserError, match=sentence):
        datasets.load(f"hf:{tmp_path}{spec}")


def test_configurations_of_the_hub_are_named(monkeypatch):
    def missing(*args, **options):
        raise ValueError("Config name is missing.\nPlease pick one")

    monkeypatch.setattr(hub, "load_dataset", missing)
    monkeypatch.setattr(hub, "get_dataset_config_names", lambda name: ["big", "small"])
    with pytest.raises(UserError, match=r"several configurations \(big, small\)\. Name one: hf:me/set\[config=big\]"):
        datasets.load("hf:me/set")
    with pytest.raises(UserError, match=r"no configuration 'bgi'\. Did you mean 'big'"):
        datasets.load("hf:me/set[config=bgi]")


def test_other_splits_of_the_hub_are_said(monkeypatch, images, capsys):
    made = hub.Dataset.from_dict({"img": [{"bytes": encode(a), "path": None} for a in images(8)], "label": [0, 1] * 4})
    made = made.cast_column("img", hub.Image())
    found = hub.DatasetDict(Training=made, dev=made, extra=made)
    monkeypatch.setattr(hub, "load_dataset", lambda *args, **options: found)
    data = datasets.load("hf:me/other-splits")
    assert sorted(set(data.partition)) == ["train", "val"] and "test): extra" in capsys.readouterr().err
    found.pop("Training")
    with pytest.raises(UserError, match=r"no split 'train'\. It has: dev, extra\. Name one: hf:me/x\[train=dev\]"):
        datasets.load("hf:me/x")
    assert set(datasets.load("hf:me/x[train=extra]").partition) == {"train"}


def test_an_image_column_without_images_is_named(tmp_path):
    pq.write_table(pa.table({"image": ["a.png", "b.png"], "label": [0, 1]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"Column 'image' of .* contains values of type string, not image files"):
        datasets.load(f"hf:{tmp_path}")
