"""Image folders: partitions, formats, and a sentence for everything that is wrong with one."""

import shutil

import numpy as np
import pytest
from PIL import Image

from bench import datasets
from bench.errors import UserError


def test_classes_are_sub_folders(tmp_path, write_folder, images):
    write_folder(tmp_path / "pets", ["dog", "cat"], 6)
    (tmp_path / "pets" / ".hidden").mkdir()
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no image")
    data = datasets.load(f"folder:{tmp_path / 'pets'}")
    assert (data.name, data.source, len(data), data.variant) == ("folder:pets", "folder:pets", 12, None)
    assert data.class_names == ("cat", "dog") and data.labels.tolist() == [0] * 6 + [1] * 6
    assert set(data.partition) == {"train"} and data.native_size == 6
    np.testing.assert_array_equal(data.read([11, 0])[0], images(6, seed=0)[5])


def test_partitions_and_a_path_within_the_data_folder(tmp_path, write_folder):
    for part, each, seed in (("train", 5, 1), ("validation", 2, 2), ("test", 3, 3)):
        write_folder(tmp_path / "pets" / part, ["cat", "dog"], each, seed=seed)
    (tmp_path / "pets" / "labels").mkdir()
    data = datasets.load("folder:pets", data_dir=tmp_path)
    assert [(data.partition == p).sum() for p in ("train", "val", "test")] == [10, 4, 6]


def test_formats_and_sizes(tmp_path):
    base = np.arange(63, dtype=np.uint8).reshape(7, 9) * 4
    grey = Image.fromarray(base)
    for name, images in {
        "a": {"rgb.png": grey.convert("RGB"), "grey.PNG": grey, "palette.gif": grey.convert("P"), "x.bmp": grey},
        "b": {
            "deep.png": Image.fromarray(base.astype(np.uint16) * 257),
            "alpha.png": grey.convert("RGBA"),
            "y.tiff": grey,
        },
    }.items():
        (tmp_path / name / "deeper").mkdir(parents=True)
        for file, image in images.items():
            image.save(tmp_path / name / "deeper" / file)
    grey.resize((30, 20)).convert("RGB").save(tmp_path / "b" / "photo.jpg")
    data = datasets.load(f"folder:{tmp_path}")
    assert len(data) == 8
    for path, image in zip(data.store.paths, data.read(range(8)), strict=True):
        if path.suffix != ".jpg":
            np.testing.assert_array_equal(image, np.repeat(base[:, :, None], 3, 2), err_msg=str(path))
        else:
            assert image.shape == (20, 30, 3)


def test_a_broken_file_is_named(tmp_path, write_folder):
    write_folder(tmp_path / "pets", ["cat", "dog"], 6)
    broken = tmp_path / "pets" / "dog" / "003.png"
    broken.write_bytes(broken.read_bytes()[:30])
    with pytest.raises(UserError, match=r"dog.003\.png cannot be read as an image"):
        _ = datasets.load(f"folder:{tmp_path / 'pets'}").digest


def test_wrong_folders_are_sentences(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", ["cat", "dog"], 3)
    (root / "empty").mkdir()
    with pytest.raises(UserError, match=r"class folder .*empty has no images"):
        datasets.load(f"folder:{root}")
    shutil.rmtree(root / "empty")
    shutil.rmtree(root / "dog")
    with pytest.raises(UserError, match="only the class folder 'cat'"):
        datasets.load(f"folder:{root}")
    with pytest.raises(UserError, match="no class folders"):
        datasets.load(f"folder:{root / 'cat'}")


def test_a_test_class_without_training_images_is_named(tmp_path, write_folder):
    write_folder(tmp_path / "train", ["cat", "dog"], 3)
    write_folder(tmp_path / "test", ["cat", "fox"], 3)
    with pytest.raises(UserError, match="The class 'fox' has no training samples"):
        datasets.load(f"folder:{tmp_path}")
    shutil.rmtree(tmp_path / "test" / "fox")
    assert (datasets.load(f"folder:{tmp_path}").partition == "test").sum() == 3


def test_a_folder_of_public_images_is_known_as_such(tmp_path, write_folder):
    write_folder(tmp_path / "CIFAR-10", ["cat", "dog"], 3)
    data = datasets.load(f"folder:{tmp_path / 'CIFAR-10'}")
    assert (data.name, data.source) == ("folder:CIFAR-10", "cifar10")
