"""Split folders are recognised by one rule for folder: and hf:, or refused by name; they are never classes."""

from collections import Counter

import pytest

from bench import datasets
from bench.datasets.roles import Role, parts_of, role
from bench.errors import UserError
from bench.system import notices


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(notices, "_told", set())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("TRAIN", Role("train", ())),
        ("Training Set", Role("train", ())),
        ("trainImages", Role("train", ())),
        ("train2017", Role("train", ())),
        ("trainval", Role("train", ())),
        ("dev", Role("val", ())),
        ("VALID_DATA", Role("val", ())),
        ("Evaluation", Role("test", ())),
        ("test-images", Role("test", ())),
        ("seg_train", Role("train", ("seg",))),
        ("ILSVRC2012_img_val", Role("val", ("ilsvrc",))),
        ("trains", None),
        ("latest", None),
        ("contest", None),
        ("train_test", None),
    ],
)
def test_what_a_name_says(name, found):
    assert role(name) == found


def test_a_name_that_says_more_counts_in_pairs():
    assert parts_of(["seg_test", "seg_train", "seg_pred"]) == {"train": ["seg_train"], "test": ["seg_test"]}
    assert parts_of(["toy_train", "toy_car", "test_tube"]) == {}


@pytest.fixture
def tree(tmp_path, write_folder):
    """Write images into folders: `{"train/cat": 4}`; a path that ends in "/" takes them without class folders."""

    def make(folders):
        for seed, (path, each) in enumerate(folders.items()):
            *above, last = path.rstrip("/").split("/")
            write_folder(tmp_path.joinpath("set", *above), [last], each, seed=seed)
        return tmp_path / "set"

    return make


def counted(spec):
    data = datasets.load(spec)
    return dict(Counter(zip(data.partition.tolist(), (data.class_names[i] for i in data.labels), strict=True)))


def both(train, test, part="test"):
    names = {"cat": 4, "dog": 4}
    split = {f"{train}/{name}": count for name, count in names.items()}
    return split | {f"{test}/{name}": 2 for name in names}, {("train", n): c for n, c in names.items()} | {
        (part, name): 2 for name in names
    }


@pytest.mark.parametrize("source", ["folder", "hf"])
@pytest.mark.parametrize(
    ("train", "test", "part"),
    [
        ("Training", "Testing", "test"),
        ("TRAIN", "TEST", "test"),
        ("train_data", "Test Data", "test"),
        ("training_set/training_set", "test_set/test_set", "test"),
        ("seg_train/seg_train", "seg_test/seg_test", "test"),
        ("train2017", "val2017", "val"),
        ("ILSVRC2012_img_train", "ILSVRC2012_img_val", "val"),
        ("train/images", "eval/images", "test"),
        ("train", "dev", "val"),
        ("pets/archive/Train", "pets/archive/Valid", "val"),
        ("images/train", "images/test", "test"),
    ],
)
def test_split_folders_are_recognised(tree, source, train, test, part):
    folders, expected = both(train, test, part)
    assert counted(f"{source}:{tree(folders)}") == expected


@pytest.mark.parametrize("source", ["folder", "hf"])
@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        (
            both("train", "test")[0] | {"Testing/cat": 2},
            r"2 folders that are named as its test data \(Testing, test\)",
        ),
        (both("train", "final")[0], "neither as training, validation nor test images: final, next to train"),
        (
            both("Entrenamiento", "Prueba")[0],
            r"contain the same folders \(cat, dog\).*\[train=Entrenamiento,test=Prueba\]",
        ),
        (both("val", "test")[0], "the split folders .*test, but none for training"),
        (
            {"cat/train": 2, "cat/test": 2, "dog/train": 2, "dog/test": 2},
            r"contain split folders \(cat/test, cat/train\)",
        ),
        ({"train": 5, "seg_test/a": 3}, "has the split folders seg_test, train, but"),
        ({"train": 5, "test": 3}, "have images and no class folders"),
        ({"train/cat": 4, "train/dog": 4, "val": 5}, r"val has 5 images and no class folders.*\[train=train\]"),
        (
            {"cat": 4, "dog": 4, "test": 5},
            "has test, named as test images, but without class folders",
        ),
        ({"cat": 4, "dog": 4, "train2017": 5}, "has train2017, named as training images, but without class folders"),
        ({"cat": 4, "dog": 4, "train": 5, "val": 5}, "has train, val, named as training and validation images"),
        ({"Apprentissage/cat": 4, "Apprentissage/dog": 4, "val/cat": 4}, r"\[train=Apprentissage,test=val\]"),
        ({"train/train/cat": 4, "train/train/dog": 4, "train/val/cat": 2, "train/val/dog": 2}, "All|split folders"),
        ({"train/a/cat": 4, "train/a/dog": 4, "train/b/cat": 4, "train/b/dog": 4}, r"All folders .*train \(a, b\)"),
        ({"train/cat": 4, "train/dog": 4, "train/test": 4}, r"train has test, .*write .*\[train=train\]"),
        ({"train": 4, "test/cat": 4, "test/dog": 5}, "train has 4 images and no class folders"),
    ],
)
def test_what_the_names_leave_open_is_refused(tree, source, folders, sentence):
    with pytest.raises(UserError, match=sentence):
        datasets.load(f"{source}:{tree(folders)}")


@pytest.mark.parametrize("source", ["folder", "hf"])
@pytest.mark.parametrize(
    ("folders", "spec", "expected"),
    [
        (both("A", "B")[0], "[train=A,test=B]", both("A", "B")[1]),
        (both("train", "final")[0], "[test=final]", both("train", "final")[1]),
        (both("train", "dev")[0], "[train=train]", {("train", "cat"): 4, ("train", "dog"): 4}),
        ({"a/x": 2, "a/y": 2, "b/x": 2, "b/y": 3}, "[train=.]", {("train", "a"): 4, ("train", "b"): 5}),
        ({"car": 2, "train": 3, "bus": 4}, "", {("train", "car"): 2, ("train", "train"): 3, ("train", "bus"): 4}),
        ({"w/train/cat": 2, "w/train/test": 3}, "[train=train]", {("train", "cat"): 2, ("train", "test"): 3}),
        ({"w/a/x": 2, "w/a/y": 2, "w/b/x": 2, "w/b/y": 3}, "[train=.]", {("train", "a"): 4, ("train", "b"): 5}),
        ({"toy_train": 2, "car/old": 3}, "", {("train", "toy_train"): 2, ("train", "car"): 3}),
    ],
)
def test_the_user_names_splits_and_classes(tree, source, folders, spec, expected):
    assert counted(f"{source}:{tree(folders)}{spec}") == expected


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("[test=tset]", "has no folder 'tset' to use as test. Did you mean 'test'"),
        ("[val=test,test=test]", "names one folder for two parts"),
        ("[train=.,test=test]", "takes every folder as a class"),
    ],
)
def test_a_wrong_name_of_a_split_is_a_sentence(tree, spec, sentence):
    with pytest.raises(UserError, match=sentence):
        datasets.load(f"folder:{tree(both('train', 'test')[0])}{spec}")


def test_images_outside_the_classes_are_counted(tree, write_folder, capsys):
    root = tree(both("train", "test")[0] | {"extra": 3})
    write_folder(root.parent, ["set/loose"], 2)
    for image in list((root / "loose").iterdir()):
        image.rename(root / "test" / image.name)
    assert len(datasets.load(f"folder:{root}")) == 12
    said = capsys.readouterr().err
    assert f"3 images in extra of {root} belong to no split" in said and f"2 images in {root}/test itself" in said


def test_links_to_folders_are_followed(tree):
    root = tree(both("real/train", "real/test")[0])
    for part in ("train", "test"):
        (root / "linked").mkdir(exist_ok=True)
        (root / "linked" / part).symlink_to(root / "real" / part)
    (root / "real" / "train" / "cat" / "again").symlink_to(root / "real" / "train" / "cat")
    assert counted(f"folder:{root / 'linked'}") == both("train", "test")[1]


def test_an_empty_class_keeps_the_folder_beside_it_a_class(tree):
    root = tree({"cat/old": 2, "cat/new": 3})
    (root / "dog").mkdir()
    with pytest.raises(UserError, match=r"class folder .*dog has no images"):
        datasets.load(f"folder:{root}")


def test_numbered_class_folders_sort_as_numbers(tree):
    root = tree({str(n): 2 for n in (10, 9, 1)})
    assert datasets.load(f"folder:{root}").class_names == ("1", "9", "10")


def test_a_missing_folder_is_looked_for_under_similar_names(tmp_path):
    (tmp_path / "Pets").mkdir()
    for source in ("folder", "hf"):
        with pytest.raises(UserError, match=r"pet does not exist\. Did you mean '.*Pets'"):
            datasets.load(f"{source}:{tmp_path / 'pet'}")
    (tmp_path / "cat.png").touch()
    with pytest.raises(UserError, match=r"cat\.png is a file"):
        datasets.load(f"folder:{tmp_path / 'cat.png'}")


def test_what_is_no_folder_of_images_is_named(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images.tar.gz").write_bytes(b"x")
    with pytest.raises(
        UserError,
        match=r"images\.tar\.gz has not been extracted. Run mkdir -p .*/images && tar -xf .*images\.tar\.gz -C ",
    ):
        datasets.load(f"folder:{tmp_path / 'set'}")
    for source in ("folder", "hf"):
        with pytest.raises(UserError, match="is an archive"):
            datasets.load(f"{source}:{tmp_path / 'set' / 'images.tar.gz'}")
    (tmp_path / "set" / "images.tar.gz").unlink()
    (tmp_path / "set" / "train.parquet").touch()
    with pytest.raises(UserError, match="contains tables, not class folders"):
        datasets.load(f"folder:{tmp_path / 'set'}")
