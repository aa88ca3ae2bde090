"""Caltech-101 from parquet and from the authors' folders: the same classes in any copy, none of the two left out."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench import datasets, protocol
from bench.datasets import caltech101, known, official
from bench.errors import UserError
from bench.system.network import ToDownload, no_downloads
from tests.helpers.paths import SHARED

NAMES = ("faces", "leopards", "accordion", "ant")
OTHERS = ("accordion", "ant", "faces", "faces_easy", "leopards")  # the order of the hub's copy
EACH = 12


@pytest.fixture(autouse=True)
def small(monkeypatch, request):
    if "shared" in request.fixturenames:
        return
    monkeypatch.setitem(known.CLASSES, "caltech101", NAMES)
    whole = replace(official.FAMILY["caltech101"], classes=4, train=36, test=12)
    monkeypatch.setitem(official.FAMILY, "caltech101", whole)


@pytest.fixture
def pixels(images):
    return images(4 * EACH, seed=3, size=8), np.arange(4 * EACH) % 4  # images and labels by NAMES


@pytest.fixture
def put(pixels, write_parquet):
    """Write a copy with a test file: 36 + 12 images."""

    def put(folder, *, names=NAMES, train=36):
        array, labels = pixels
        codes = [[name.lower() for name in names].index(NAMES[c]) for c in labels]
        write_parquet(folder / "train-00000-of-00001.parquet", array[:train], codes[:train], image="image", names=names)
        write_parquet(folder / "test-00000-of-00001.parquet", array[36:], codes[36:], image="image", names=names)

    return put


@pytest.fixture
def put_whole(pixels, write_parquet, images):
    """Write the hub's copy: one split, in which Faces_easy has images, too."""

    def put(folder, count=4 * EACH):
        array, labels = pixels
        array = np.concatenate([array[:10], images(5, seed=9, size=8), array[10:count]])
        codes = [OTHERS.index(NAMES[c]) for c in labels[:count]]
        codes[10:10] = [OTHERS.index("faces_easy")] * 5
        file = folder / "train-00000-of-00001.parquet"
        write_parquet(file, array, codes, image="image", names=OTHERS)
        return file

    return put


@pytest.fixture
def put_folders(pixels):
    """Write the authors' folders, as torchvision extracts them."""

    def put(root, *, names=("Faces", "Leopards", "accordion", "ant")):
        for name in (*names, "Faces_easy", "BACKGROUND_Google"):
            (root / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(root / name / "image_0099.jpg")
        for i, (array, label) in enumerate(zip(*pixels, strict=True)):
            Image.fromarray(array).save(root / names[label] / f"image_{i:04d}.jpg", quality=95)
        for name in names:
            (root / name / "image_0099.jpg").unlink()
        (root / names[0] / "tmp").touch()

    return put


def load(folder=None):
    return datasets.load("caltech101", data_dir=folder)


@pytest.mark.parametrize("place", ["caltech101", "caltech101/data", ""])
def test_parquet_files_are_found_in_every_usual_place(tmp_path, put, pixels, place):
    put(tmp_path / place)
    data = load(tmp_path)
    assert (data.name, data.source, len(data), data.class_names) == ("caltech101", "caltech101", 48, NAMES)
    assert data.partition.tolist() == ["train"] * 36 + ["test"] * 12 and data.variant == "unverified"
    np.testing.assert_array_equal(data.labels, pixels[1])
    for row, image in zip((40, 0), data.read([40, 0]), strict=True):
        np.testing.assert_array_equal(image, pixels[0][row])


def test_other_numbers_of_the_classes_mean_the_same(tmp_path, put):
    put(tmp_path / "a" / "caltech101")
    put(tmp_path / "b" / "caltech101", names=("Ant", "accordion", "Leopards", "Faces_easy", "Faces"))
    first, second = load(tmp_path / "a"), load(tmp_path / "b")
    assert first.digest == second.digest and first.class_names == second.class_names
    np.testing.assert_array_equal(first.labels, second.labels)


def test_the_hubs_copy_loses_the_faces_that_it_has_twice(tmp_path, put, put_whole, pixels):
    put_whole(tmp_path / "caltech101")
    data = load(tmp_path)
    assert set(data.partition) == {"train"} and data.class_names == NAMES
    np.testing.assert_array_equal(data.labels, pixels[1])
    for row in (9, 10, 47):
        np.testing.assert_array_equal(data.read([row])[0], pixels[0][row])
    put(tmp_path / "other" / "caltech101")
    assert load(tmp_path / "other").digest == data.digest
    split = protocol.split(data, tuned=True)
    assert (len(split.train), len(split.pool), len(split.test)) == (28, 10, 10)
    assert sorted([*split.train, *split.pool, *split.test]) == list(range(48))


@pytest.mark.parametrize("place", caltech101.FOLDERS)
def test_the_authors_folders_are_read(tmp_path, put_folders, place):
    put_folders(tmp_path / place)
    data = load(tmp_path)
    assert data.class_names == NAMES and np.bincount(data.labels).tolist() == [EACH] * 4 and len(data) == 48
    assert data.read([0])[0].shape == (8, 8, 3) and set(data.partition) == {"train"}
    assert data.variant == "unverified"  # JPEG is what the authors released


def test_what_was_encoded_again_is_marked(tmp_path, write_parquet, pixels):
    for part, rows in (("train", slice(36)), ("test", slice(36, None))):
        file = tmp_path / "caltech101" / f"{part}-0.parquet"
        array, labels = (column[rows] for column in pixels)
        write_parquet(file, array, labels, image="image", names=NAMES, encoding="WEBP", quality=90)
    assert load(tmp_path).variant == "webp"


def test_a_missing_copy_is_downloaded_from_the_hub_only_where_that_is_allowed(tmp_path, put_whole, monkeypatch):
    import datasets as hub

    held = hub.Dataset.from_parquet(str(put_whole(tmp_path / "hub")), cache_dir=str(tmp_path / "hf"))
    asked = []

    def load_dataset(name, split):
        asked.append((name, split))
        return held

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    with no_downloads(), pytest.raises(ToDownload, match=r"Caltech-101 \(121 MB\) must be downloaded"):
        load()
    assert asked == []
    assert len(load()) == len(load()) == 48 and asked == [("flwrlabs/caltech101", "train")]


BROKEN = {
    "too few": (lambda f, put, whole: put(f, train=35), "has 47 images of its 4 classes, but Caltech-101 has 48"),
    "no train": (lambda f, put, whole: (put(f), (f / "train-00000-of-00001.parquet").unlink()), "but no train-"),
    "not parquet": (
        lambda f, put, whole: (put(f), (f / "test-00000-of-00001.parquet").write_bytes(b"PAR1")),
        "The parquet files in .* cannot be read",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_incomplete_copy_is_named(tmp_path, put, put_whole, how):
    damage, sentence = BROKEN[how]
    damage(tmp_path / "caltech101", put, put_whole)
    with pytest.raises(UserError, match=rf"{sentence}.* or move it "):
        load(tmp_path)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("faces", "leopards", "accordion", "zebra"), "has the class 'zebra', which Caltech-101 does not have"),
        (None, "has no class names"),
        (("faces", "leopards", "accordion"), "has no class 'ant'"),
    ],
)
def test_files_of_another_set_are_refused_by_name_and_passed_over_elsewhere(
    tmp_path, write_parquet, images, names, sentence
):
    for place in ("caltech101", "other"):
        write_parquet(tmp_path / place / "train-0.parquet", images(6), [0, 1, 2] * 2, image="image", names=names)
    with pytest.raises(UserError, match=sentence):
        load(tmp_path)
    with no_downloads(), pytest.raises(ToDownload):
        load(tmp_path / "other")


def test_folders_of_another_set_are_refused(tmp_path, put_folders):
    put_folders(tmp_path / caltech101.FOLDERS[0], names=("Faces", "Leopards", "accordion", "zebra"))
    with pytest.raises(UserError, match=r"has the class 'zebra'.* Extract the archive again"):
        load(tmp_path)


def test_the_copy_in_the_shared_folder(shared, environment):
    folder = SHARED / "data"
    if not (folder / "caltech101").is_dir():
        pytest.skip("needs Caltech-101 in the shared folder")
    data = load(folder)
    counts = np.bincount(data.labels)
    assert (len(data), counts.size, counts.min(), counts.max(), data.native_size) == (8_242, 100, 31, 800, 128)
    assert np.unique(data.partition, return_counts=True)[1].tolist() == [1_649, 6_593] and data.variant == "webp"
    assert data.class_names[:4] == ("faces", "leopards", "motorbikes", "accordion")
    assert protocol.has_seen(data, ["caltech101"]) and not protocol.has_seen(data, ["imagenet"])
