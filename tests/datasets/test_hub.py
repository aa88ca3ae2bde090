"""Hugging Face datasets from local folders: columns, classes, splits, and what cannot be opened."""

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
    with pytest.raises(UserError, match=r"without a label \(row 2"):
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
