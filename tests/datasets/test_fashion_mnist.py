"""Fashion-MNIST from IDX and parquet: the same images wherever they are, and other sets of the same file names."""

import gzip
import hashlib
import subprocess

import numpy as np
import pytest

from bench import datasets
from bench.datasets import fashion_mnist, official
from bench.datasets.known import CLASSES
from bench.errors import UserError
from bench.system.network import ToDownload, no_downloads
from tests.helpers.idx import idx_bytes

NAMES = CLASSES["fashion_mnist"]
LABELS = np.arange(200) % 10, np.sort(np.arange(100) % 10)
DEBIAN = fashion_mnist.SYSTEM / "fashion-mnist"
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = fashion_mnist.FILES


@pytest.fixture
def system(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")
    return tmp_path / "system"


@pytest.fixture
def pixels(images):
    return images(200, seed=1, size=28)[..., 0], images(100, seed=2, size=28)[..., 0]


@pytest.fixture
def put(tiny, system, pixels):
    def put(folder, *, packed=True, labels=LABELS):
        folder.mkdir(parents=True)
        arrays = (pixels[0], labels[0], pixels[1], labels[1])
        for name, content in zip(fashion_mnist.FILES, map(idx_bytes, arrays), strict=True):
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content, mtime=0) if packed else content)

    return put


def load(folder=None):
    return datasets.load("fashion_mnist", data_dir=folder)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", fashion_mnist.FOLDERS)
def test_idx_files_are_found_in_every_usual_place(tmp_path, put, pixels, place, packed):
    put(tmp_path / place, packed=packed)
    data = load(tmp_path)
    assert (data.name, data.source, len(data), data.native_size) == ("fashion_mnist", "fashion_mnist", 300, 28)
    assert data.class_names == NAMES and data.variant == "unverified"
    np.testing.assert_array_equal(data.labels, np.concatenate(LABELS))
    assert data.partition.tolist() == ["train"] * 200 + ["test"] * 100
    for row, image in zip((250, 3, 199), data.read([250, 3, 199]), strict=True):
        np.testing.assert_array_equal(image, np.stack([np.concatenate(pixels)[row]] * 3, axis=-1))


@pytest.mark.parametrize("place", ["", "fashion_mnist", "fashion_mnist/fashion_mnist"])
def test_parquet_holds_the_same(tmp_path, put, pixels, write_parquet, monkeypatch, place):
    put(tmp_path / "a" / "FashionMNIST" / "raw")
    put(tmp_path / "b" / "fashion-mnist", packed=False)
    for part, array, labels in zip(("train", "test"), pixels, LABELS, strict=True):
        path = tmp_path / "c" / place / f"{part}-00000-of-00001.parquet"
        write_parquet(path, array, labels, image="image", names=NAMES)
    found = [load(tmp_path / x) for x in "abc"]
    assert len({data.digest for data in found}) == 1 and len({data.class_names for data in found}) == 1
    np.testing.assert_array_equal(found[0].labels, found[2].labels)
    monkeypatch.setitem(official.DIGESTS, "fashion_mnist", (found[0].digest,))
    assert [load(tmp_path / x).variant for x in "abc"] == [None] * 3


def test_places_are_searched_in_order(tmp_path, put, system, own_cache, monkeypatch):
    folders = [tmp_path / "given", tmp_path / "variable", system, own_cache / "downloads"]
    for i, folder in enumerate(folders):
        put(folder / "FashionMNIST" / "raw", labels=(np.roll(LABELS[0], i), LABELS[1]))
    monkeypatch.setenv("BENCH_DATA", str(folders[1]))
    first = [load(folders[0]).labels[0]]
    first.append(load().labels[0])
    monkeypatch.delenv("BENCH_DATA")
    first.append(load().labels[0])
    system.rename(tmp_path / "elsewhere")
    first.append(load().labels[0])
    assert first == [0, 9, 8, 7]


@pytest.mark.parametrize("place", ["", "raw"])
def test_files_of_another_dataset_are_passed_over(tmp_path, put, monkeypatch, place):
    put(tmp_path / "data" / place)  # as MNIST names its files
    with no_downloads(), pytest.raises(ToDownload):
        load(tmp_path / "data")
    own = hashlib.sha256(np.concatenate(LABELS).astype(np.uint8).tobytes()).hexdigest()
    monkeypatch.setattr(fashion_mnist, "LABELS", own)
    assert len(load(tmp_path / "data")) == 300


def test_parquet_files_of_mnist_are_passed_over(tmp_path, tiny, system, pixels, write_parquet):
    for part, array, labels in zip(("train", "test"), pixels, LABELS, strict=True):
        write_parquet(tmp_path / f"{part}-0.parquet", array, labels, image="image", names="0123456789")
    with no_downloads(), pytest.raises(ToDownload):
        load(tmp_path)


def test_a_missing_copy_is_downloaded_only_where_that_is_allowed(tmp_path, put, monkeypatch):
    asked = []

    def download(folder):
        asked.append(folder)
        put(folder / "FashionMNIST" / "raw", packed=False)

    monkeypatch.setattr(fashion_mnist, "_download", download)
    with no_downloads(), pytest.raises(ToDownload, match=r"Fashion-MNIST \(31 MB\) must be downloaded"):
        load()
    assert asked == [] and len(load()) == len(load()) == 300 and len(asked) == 1


def short(content):
    return content[:-100]


BROKEN = {
    "images cut off": (TEST_IMAGES, short, r"t10k-images-idx3-ubyte cannot be read as an IDX file .*claims the shape"),
    "labels cut off": (
        TRAIN_LABELS,
        short,
        r"train-labels-idx1-ubyte cannot be read as an IDX file .*claims the shape",
    ),
    "another file": (TRAIN_IMAGES, lambda _: b"<html>", r"train-images-idx3-ubyte cannot be read .*the header"),
    "images for labels": (TRAIN_LABELS, lambda _: idx_bytes(np.zeros((200, 2))), "not contain one label per image"),
    "images of another size": (
        *(TRAIN_IMAGES, lambda _: idx_bytes(np.zeros((200, 32, 32)))),
        "train-images-idx3-ubyte cannot be read .*not contain 200 images of 28 × 28 pixels",
    ),
    "too few": (TEST_LABELS, lambda _: idx_bytes(np.zeros(99)), "raw has 99 test images, but Fashion-MNIST has 100"),
    "labels out of range": (
        TRAIN_LABELS,
        lambda _: idx_bytes(np.full(200, 10)),
        "raw has training labels outside 0 … 9",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_file_is_named(tmp_path, put, how):
    file, damage, sentence = BROKEN[how]
    folder = tmp_path / "FashionMNIST" / "raw"
    put(folder, packed=False)
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(UserError, match=sentence) as error:
        load(tmp_path).read([0])
    assert str(error.value).endswith(" again.")


def test_a_missing_file_is_named(tmp_path, put):
    put(tmp_path / "fashion-mnist")
    (tmp_path / "fashion-mnist" / f"{TEST_LABELS}.gz").unlink()
    with pytest.raises(UserError, match=rf"{TRAIN_IMAGES}\.gz was found, but {TEST_LABELS} was not"):
        load(tmp_path)


def test_an_archive_is_named(tmp_path, system):
    (tmp_path / "fashion-mnist-master.zip").touch()
    with pytest.raises(UserError, match=r"Fashion-MNIST is in .*master\.zip, which has not been extracted\. Run unzip"):
        load(tmp_path)


needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")


@needs_debian
@pytest.mark.slow
@pytest.mark.parametrize("packed", [True, False])
def test_the_official_files(tmp_path, packed):
    folder = DEBIAN
    if not packed:
        folder = tmp_path / "FashionMNIST" / "raw"
        folder.mkdir(parents=True)
        for name in fashion_mnist.FILES:
            with (folder / name).open("wb") as file:
                subprocess.run(["gzip", "-dc", DEBIAN / f"{name}.gz"], stdout=file, check=True, timeout=60)
    data = load(folder)  # the folder of the files itself, which is named for nothing if it is `raw`
    assert data.variant is None and [data.digest] == list(official.DIGESTS["fashion_mnist"])
    counts = [np.bincount(data.labels[data.partition == part]).tolist() for part in ("train", "test")]
    assert counts == [[6_000] * 10, [1_000] * 10]
    assert data.class_names[data.labels[0]] == "Ankle boot" and data.read([0])[0].shape == (28, 28, 3)


@needs_debian
def test_the_systems_copy_is_found():
    data = load()
    assert len(data) == 70_000 and data.store.files[0].parent == DEBIAN
