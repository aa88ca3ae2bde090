"""A cache answers only for the data it was made from: changed content is noticed though name, size and time agree."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench import datasets
from bench.datasets import digests
from bench.datasets.stores import FileStore
from tests.helpers.images import encode

FORMS = {"bmp": "BMP", "pgm": "PPM", "tga": "TGA", "tif": "TIFF"}


def put(folder, suffix, seed, write=None):
    for c, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            path = folder / name / f"{i}.{suffix}"
            pixels = np.random.default_rng([seed, c, i]).integers(0, 256, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(write or path, FORMS[suffix])
            if write:
                os.replace(write, path)  # noqa: PTH105 - another file under the name
            os.utime(path, (315532800, 315532800))


@pytest.mark.parametrize("suffix", FORMS)
@pytest.mark.parametrize("replaced", [True, False])
def test_other_images_of_the_same_size_and_time(tmp_path, suffix, replaced):
    found = []
    for seed in (1, 2, 1):
        put(tmp_path / "set", suffix, seed, tmp_path / "new" if replaced else None)
        found.append(datasets.load(f"folder:{tmp_path / 'set'}").digest)
    assert found[0] != found[1] and found[0] == found[2]


def test_a_folder_replaced_by_another(tmp_path):
    put(tmp_path / "set", "bmp", 1)
    put(tmp_path / "other", "bmp", 2)
    first = datasets.load(f"folder:{tmp_path / 'set'}").digest
    shutil.rmtree(tmp_path / "set")
    (tmp_path / "other").rename(tmp_path / "set")
    assert datasets.load(f"folder:{tmp_path / 'set'}").digest != first


def test_bytes_in_start_middle_and_end_count_where_times_do_not(tmp_path, monkeypatch):
    file = tmp_path / "data.bin"
    real = Path(__file__).stat()
    monkeypatch.setattr(digests.os, "fstat", lambda handle: os.stat_result((*real[:6], 30_000, *real[7:])))
    found = set()
    for place in (None, 0, 15_000, 29_999):
        content = bytearray(30_000)
        if place is not None:
            content[place] = 1
        file.write_bytes(content)
        found.add(digests.files([file]))
    assert len(found) == 4


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path, own_cache):
    put(tmp_path / "set", "bmp", 1)
    paths = tuple(sorted((tmp_path / "set").rglob("*.bmp")))
    store = FileStore(paths)

    def read(rows):
        os.utime(paths[0])
        return store.read(rows)

    digests.keys(digests.PIXELS, read, np.zeros(4, np.int64), store.fingerprint)
    assert not list((own_cache / "digests").iterdir())


def test_an_entry_of_other_data_is_computed_anew(tmp_path, own_cache):
    for seed in (1, 2):
        put(tmp_path / str(seed), "bmp", seed)
    first = datasets.load(f"folder:{tmp_path / '1'}").digest
    (entry,) = (own_cache / "digests").iterdir()
    second = datasets.load(f"folder:{tmp_path / '2'}").digest
    (other,) = set((own_cache / "digests").iterdir()) - {entry}
    shutil.copy(other, entry)  # the right shape and type, even the right kind of keys
    assert datasets.load(f"folder:{tmp_path / '1'}").digest == first != second


@pytest.mark.parametrize("change", ["one key", "object array", "pipe"])
def test_a_changed_entry_is_computed_anew(tmp_path, own_cache, change):
    put(tmp_path / "set", "bmp", 1)
    first = datasets.load(f"folder:{tmp_path / 'set'}").digest
    (entry,) = (own_cache / "digests").iterdir()
    keys = np.load(entry)
    if change == "one key":
        keys[0] = b"0" * 32
        np.save(entry, keys)
    elif change == "object array":
        np.save(entry, np.array([None, 1]), allow_pickle=True)
    else:
        entry.unlink()
        os.mkfifo(entry)
    assert datasets.load(f"folder:{tmp_path / 'set'}").digest == first


@pytest.mark.parametrize("argument", ["", "/train-00000-of-00001.parquet"])
def test_other_parquet_files_of_the_same_size_and_time(tmp_path, images, argument):
    found = []
    (tmp_path / "set").mkdir()
    for seed in (1, 2):
        file = tmp_path / "set" / "train-00000-of-00001.parquet"
        cells = [{"bytes": encode(array, encoding="BMP"), "path": None} for array in images(8, seed=seed)]
        table = pa.table({"image": cells, "label": [0, 1] * 4})
        pq.write_table(table, file, compression="none", use_dictionary=False)
        os.utime(file, (315532800, 315532800))
        found.append((file.stat().st_size, datasets.load(f"hf:{tmp_path / 'set'}{argument}").digest))
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]


def test_a_saved_dataset_replaced_by_another(tmp_path, images):
    from datasets import ClassLabel, Dataset, Features, Image

    found = []
    for seed in (1, 2):
        cells = [{"bytes": encode(array, encoding="BMP"), "path": None} for array in images(8, seed=seed)]
        features = Features({"image": Image(), "label": ClassLabel(names=["a", "b"])})
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        Dataset.from_dict({"image": cells, "label": [0, 1] * 4}, features).save_to_disk(tmp_path / "set")
        for file in (tmp_path / "set").iterdir():
            os.utime(file, (315532800, 315532800))
        found.append(datasets.load(f"hf:{tmp_path / 'set'}").digest)
    assert found[0] != found[1]
