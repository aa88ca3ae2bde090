"""SVHN from the authors' MATLAB files: images the right way round, and the digit 0 as class 0."""

import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from bench import datasets
from bench.datasets import official
from bench.errors import UserError

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def pixels(images):
    return images(200, seed=1, size=32), images(100, seed=2, size=32)


def put(folder, pixels):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(("train", "test"), pixels, strict=True):
        digits = np.arange(len(array)) % 10
        labels = np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]
        savemat(folder / f"{name}_32x32.mat", {"X": array.transpose(1, 2, 3, 0), "y": labels}, do_compression=True)


@pytest.mark.parametrize("place", ["", "svhn"])
def test_matlab_files(tmp_path, pixels, place):
    put(tmp_path / place, pixels)
    data = datasets.load("svhn", data_dir=tmp_path)
    assert data.labels.tolist() == [*(np.arange(200) % 10), *(np.arange(100) % 10)]
    assert data.class_names == tuple("0123456789") and data.variant == "unverified"
    np.testing.assert_array_equal(data.read([210])[0], pixels[1][10])


def test_authors_checksums_make_it_official(tmp_path, pixels, monkeypatch):
    put(tmp_path, pixels)
    sums = {n: hashlib.md5((tmp_path / n).read_bytes()).hexdigest() for n in official.MD5["svhn"]}
    monkeypatch.setitem(official.MD5, "svhn", sums)
    assert datasets.load("svhn", data_dir=tmp_path).variant is None


def test_parquet_holds_the_same(tmp_path, pixels, write_parquet):
    put(tmp_path / "a", pixels)
    for part, array in zip(("train", "test"), pixels, strict=True):
        path = tmp_path / "b" / "cropped_digits" / f"{part}-00000-of-00001.parquet"
        write_parquet(path, array, np.arange(len(array)) % 10, image="image")
    first, second = (datasets.load("svhn", data_dir=tmp_path / x) for x in "ab")
    assert first.digest == second.digest and first.class_names == second.class_names


def test_a_damaged_file_is_named(tmp_path, pixels):
    put(tmp_path, pixels)
    (tmp_path / "test_32x32.mat").write_bytes(b"not matlab")
    with pytest.raises(UserError, match=r"test_32x32\.mat cannot be read as a MATLAB file"):
        datasets.load("svhn", data_dir=tmp_path)


def test_one_file_of_two_is_named(tmp_path, pixels):
    put(tmp_path, pixels)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(UserError, match=r"train_32x32\.mat was found, but test_32x32\.mat was not"):
        datasets.load("svhn", data_dir=tmp_path)
