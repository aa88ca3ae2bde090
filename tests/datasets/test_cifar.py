"""CIFAR from parquet and from the authors' archive: the same images, labels, names and marks."""

import hashlib
import pickle
import struct

import numpy as np
import pytest

from bench import datasets
from bench.datasets import cifar, official
from bench.datasets.known import CLASSES
from bench.errors import UserError

pytestmark = pytest.mark.usefixtures("tiny")
NAMES = [*CLASSES["cifar10"][:9], "lorry"]
LABELS = np.arange(200) % 10, np.sort(np.arange(100) % 10)


@pytest.fixture
def pixels(images):
    return images(200, seed=1, size=32), images(100, seed=2, size=32)


@pytest.fixture
def put_parquet(pixels, write_parquet):
    def put(base, *, order=None, key="cifar10", **options):
        for part, array, labels in zip(("train", "test"), pixels, LABELS, strict=True):
            rows = np.arange(len(labels)) if order is None else order[order < len(labels)]
            write_parquet(base / f"{part}-00000-of-00001.parquet", array[rows], labels[rows], names=NAMES, **options)

    return put


def python2_pickle(entries):
    """A dict as Python 2 pickled it: byte strings and arrays of byte strings."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    def item(value):
        if isinstance(value, np.ndarray):
            shape = b"".join(b"J" + struct.pack("<i", n) for n in value.shape)
            return (
                b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01("
                + shape
                + b"tcnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
                + text(value.tobytes())
                + b"tb"
            )
        return b"](" + b"".join(text(v) if isinstance(v, bytes) else b"K" + bytes([v]) for v in value) + b"e"

    return b"\x80\x02}(" + b"".join(text(k.encode()) + item(v) for k, v in entries.items()) + b"u."


@pytest.fixture
def put_archive(pixels):
    def put(root):
        base = root / "cifar-10-batches-py"
        base.mkdir(parents=True)
        flat = [array.transpose(0, 3, 1, 2).reshape(len(array), -1) for array in pixels]
        for i in range(5):
            rows = slice(40 * i, 40 * i + 40)
            entry = {"data": flat[0][rows], "labels": LABELS[0][rows].tolist()}
            (base / f"data_batch_{i + 1}").write_bytes(python2_pickle(entry))
        (base / "test_batch").write_bytes(pickle.dumps({"data": flat[1], "labels": LABELS[1].tolist()}))
        (base / "batches.meta").write_bytes(python2_pickle({"label_names": [n.encode() for n in NAMES]}))
        return base

    return put


def test_parquet(tmp_path, put_parquet, pixels):
    put_parquet(tmp_path / "cifar10")
    data = datasets.load("cifar10", data_dir=tmp_path)
    assert (data.name, data.source, len(data), data.native_size) == ("cifar10", "cifar10", 300, 32)
    assert data.class_names == tuple(NAMES)
    np.testing.assert_array_equal(data.labels, np.concatenate(LABELS))
    assert data.partition.tolist() == ["train"] * 200 + ["test"] * 100
    for row, image in zip((250, 3, 199), data.read([250, 3, 199]), strict=True):
        np.testing.assert_array_equal(image, np.concatenate(pixels)[row])


@pytest.mark.parametrize("place", ["", "cifar10", "plain_text", "cifar10/plain_text"])
def test_parquet_is_found_in_every_usual_place(tmp_path, monkeypatch, put_parquet, place):
    put_parquet(tmp_path / place)
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    assert len(datasets.load("cifar10")) == 300


def test_archive_holds_the_same(tmp_path, put_parquet, put_archive):
    put_parquet(tmp_path / "a" / "cifar10")
    put_archive(tmp_path / "b")
    first, second = (datasets.load("cifar10", data_dir=tmp_path / x) for x in "ab")
    assert first.digest == second.digest and first.class_names == second.class_names
    np.testing.assert_array_equal(first.partition, second.partition)
    assert first.variant == second.variant == "unverified"


def test_authors_checksums_make_it_official(tmp_path, put_archive, monkeypatch):
    base = put_archive(tmp_path)
    sums = {name: hashlib.md5((base / name).read_bytes()).hexdigest() for name in official.MD5["cifar10"]}
    monkeypatch.setitem(official.MD5, "cifar10", sums)
    assert datasets.load("cifar10", data_dir=tmp_path).variant is None


def test_a_known_digest_makes_it_official(tmp_path, put_parquet, monkeypatch):
    order = np.random.default_rng(0).permutation(200)
    put_parquet(tmp_path / "a")
    put_parquet(tmp_path / "b", order=order)
    known = datasets.load("cifar10", data_dir=tmp_path / "a").digest
    monkeypatch.setitem(official.DIGESTS, "cifar10", (known,))
    assert datasets.load("cifar10", data_dir=tmp_path / "b").variant is None


def test_lossy_copies_are_marked(tmp_path, put_parquet):
    put_parquet(tmp_path, encoding="JPEG", quality=80)
    assert datasets.load("cifar10", data_dir=tmp_path).variant == "jpeg80"


def test_code_in_a_pickle_does_not_run(tmp_path, put_archive):
    base = put_archive(tmp_path)
    trap = tmp_path / "ran"
    (base / "test_batch").write_bytes(f"cos\nsystem\n(S'touch {trap}'\ntR.".encode())
    with pytest.raises(UserError, match=r"test_batch cannot be read .*not data"):
        datasets.load("cifar10", data_dir=tmp_path)
    assert not trap.exists()


def test_an_incomplete_copy_is_named(tmp_path, put_parquet, put_archive):
    put_parquet(tmp_path / "cifar10", order=np.arange(150))
    with pytest.raises(UserError, match="cifar10 has 150 training images, but CIFAR-10 has 200"):
        datasets.load("cifar10", data_dir=tmp_path)
    base = put_archive(tmp_path / "b")
    (base / "data_batch_3").unlink()
    with pytest.raises(UserError, match="data_batch_3 cannot be read"):
        datasets.load("cifar10", data_dir=tmp_path / "b")


def test_another_dataset_in_the_folder_is_passed_over(tmp_path, put_parquet, monkeypatch):
    put_parquet(tmp_path)
    asked = []
    monkeypatch.setattr(cifar, "_download", lambda key, folder: asked.append(key))
    with pytest.raises(UserError, match="CIFAR-100 was downloaded"):
        datasets.load("cifar100", data_dir=tmp_path)
    assert asked == ["cifar100"]


def test_longtail_versions_have_names(tmp_path, images, write_parquet):
    for part, count in (("train", 2000), ("test", 1000)):
        path = tmp_path / "cifar100" / f"{part}-00000-of-00001.parquet"
        write_parquet(path, images(count, size=2), np.arange(count) % 100, label="fine_label")
    names = [datasets.load(f"cifar100lt{x}", data_dir=tmp_path).name for x in ("", "[imbalance=100]", "[imbalance=50]")]
    assert names == ["cifar100lt", "cifar100lt", "cifar100lt[imbalance=50]"]
    data = datasets.load("cifar100lt[imbalance=50]", data_dir=tmp_path)
    assert data.source == "cifar100" and data.imbalance == 50 and data.longtail
    assert data.class_names[99] == "worm"


def test_class_names_in_another_order_are_put_right(tmp_path, pixels, write_parquet):
    names = list(CLASSES["cifar10"])
    for base, order in (("a", names), ("b", names[::-1])):
        for part, array, labels in zip(("train", "test"), pixels, LABELS, strict=True):
            mine = [order.index(names[i]) for i in labels]
            write_parquet(tmp_path / base / "cifar10" / f"{part}-0.parquet", array, mine, names=order)
    first, second = (datasets.load("cifar10", data_dir=tmp_path / base) for base in "ab")
    assert second.class_names == CLASSES["cifar10"]
    np.testing.assert_array_equal(first.labels, second.labels)
    write_parquet(tmp_path / "b" / "cifar10" / "test-0.parquet", pixels[1], LABELS[1], names=names)
    assert datasets.load("cifar10", data_dir=tmp_path / "b").labels[200:].tolist() == LABELS[1].tolist()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["cifar-10-python.tar.gz"], r"cifar-10-python\.tar\.gz, which has not been extracted\. Run .*tar -xf .* -C "),
        (["cifar10/archive.zip"], r"archive\.zip, which has not been extracted\. Run unzip "),
        (["CIFAR10.tgz"], r"CIFAR10\.tgz, which has not been extracted"),
        (["cifar-10-batches-bin/data_batch_1.bin"], "in an unsupported format"),
        (["cifar10/train-0.parquet"], r"has train-\*\.parquet, but no test-\*\.parquet"),
        (["cifar-100-python.tar.gz"], "CIFAR-10 was downloaded"),
    ],
)
def test_a_copy_that_cannot_be_read_yet_is_named(tmp_path, monkeypatch, files, sentence):
    monkeypatch.setattr(cifar, "_download", lambda key, folder: None)
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    with pytest.raises(UserError, match=sentence):
        datasets.load("cifar10", data_dir=tmp_path)


def test_the_data_folder_may_be_the_archives_own(tmp_path, put_archive, monkeypatch):
    base = put_archive(tmp_path)
    (tmp_path / "link").symlink_to(base)
    monkeypatch.chdir(base)
    assert [len(datasets.load("cifar10", data_dir=folder)) for folder in (base, tmp_path / "link", ".")] == [300] * 3
    renamed = base.rename(tmp_path / "batches")
    assert len(datasets.load("cifar10", data_dir=renamed)) == 300
