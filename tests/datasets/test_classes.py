"""Which class an integer means: matched by name over all splits, or refused in a sentence."""

import unicodedata

import numpy as np
import pytest

from bench.datasets.classes import unite
from bench.datasets.images import ImageDataset
from bench.datasets.known import CLASSES, same_classes
from bench.datasets.labels import Labels, natural
from bench.datasets.stores import ArrayStore
from bench.errors import UserError


def of(split, values, names=None):
    return Labels(split, np.array(values, dtype=object if None in values else None), names)


def named(**splits):
    """Labels as texts, per part."""
    names, labels = unite("set", {part: of(part, *given) for part, given in splits.items()})
    return names, {part: [names[i] for i in values] for part, values in labels.items()}


@pytest.mark.parametrize(
    ("train", "test", "classes", "told"),
    [
        (([0, 1, 2, 2], ("a", "b", "c")), ([0, 1, 2], ("c", "a", "b")), ("a", "b", "c"), ["c", "a", "b"]),
        (([1, 0, 1], ("a", "b", "x")), ([1, 0], ("b", "a")), ("a", "b"), ["a", "b"]),
        (([0, 1, 1], ("b", "a")), (["a", "b"], None), ("b", "a"), ["a", "b"]),
        (([10.0, 9.0, 2.0, 2.0], None), ([9], None), ("2", "9", "10"), ["9"]),
        ((["10", "9", "2", "2"], None), (["9"], None), ("2", "9", "10"), ["9"]),
        (([True, False, True], None), ([True], None), ("False", "True"), ["True"]),
        ((["caf\u00e9", "tea", "tea"], None), (["cafe\u0301"], None), ("caf\u00e9", "tea"), ["caf\u00e9"]),
        ((["caf\u00e9", "tea", "cafe\u0301", "tea"], None), (["tea"], None), ("caf\u00e9", "tea"), ["tea"]),
        (([1, 0, 2, 1], ("0", "1", "2")), ([2, 1], None), ("0", "1", "2"), ["2", "1"]),
        ((["A", "a", "a"], None), (["a"], None), ("A", "a"), ["a"]),
    ],
)
def test_classes_are_matched_by_name(train, test, classes, told):
    names, texts = named(train=train, test=test)
    assert tuple(unicodedata.normalize("NFC", name) for name in names) == classes
    assert [unicodedata.normalize("NFC", name) for name in texts["test"]] == told


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (([0, 1, 1], ("a", "b", "c")), ([2], ("a", "b", "c")), "The class 'c' has no training samples in 'set'"),
        (([0, 1, 7], ("a", "b")), None, r"Row 2 of split 'train' .* label 7, but only 2 classes have names \(0 to 1\)"),
        (([0, 1, -2], ("a", "b")), None, "Row 2 .* label -2, but only"),
        (([0, 1, -1], None), None, "Row 2 .* label -1, which means no label"),
        (([0, None, 1], None), None, "Row 1 .* has no label"),
        (([0.5, 1.0, 1.0], None), None, "Row 0 .* label 0.5, a float that is not a whole number"),
        (([0.0, float("nan"), 1.0], None), None, "Row 1 .* has no label"),
        ((["a", " ", "b"], None), None, "Row 1 .* has an empty label"),
        (([5, 6, 7, 8], None), None, "different for each of its 4 samples"),
        (([-1, -1], None), None, "has no labels in its training split"),
        (([3, 3, 3], None), None, "only one class"),
        (([0, 1, 1], ("a", "a")), None, "names the class 'a' twice"),
        (
            ([0, 1, 1], ("a", "b")),
            ([0, 1], None),
            "names its classes in split 'train' .* only numbers them in .*'test'",
        ),
        (([0, 1, 1], None), ([0, 1], ("a", "b")), "names its classes in split 'test'"),
        (([0, 1, 1], ("1", "0")), ([0, 1], None), "names its classes in split 'train'"),
        ((["Cat", "dog", "dog"], None), (["cat"], None), "differ only in upper and lower case"),
        ((["cat", "dog", "dog"], None), (["cat "], None), "differ only in spaces"),
        ((["cat", "cat ", "dog"] * 2, None), None, "differ only in spaces"),
        ((["cat", "ca\u200bt", "dog"] * 2, None), None, "invisible characters"),
        ((["\uff21bc", "Abc", "dog"] * 2, None), None, "the Unicode form of a letter"),
        ((["cat", "dog", "dog"], None), (["c\u0430t"], None), "a letter of another script"),
    ],
)
def test_what_is_no_class_is_a_sentence(train, test, sentence):
    with pytest.raises(UserError, match=sentence):
        named(train=train, **({} if test is None else {"test": test}))


def test_what_is_left_out_is_said(capsys):
    names, texts = named(train=([0, 2, 2], ("a", "gnu", "b")), test=([-1, -1], ("a", "gnu", "b")))
    assert names == ("a", "b") and set(texts) == {"train"}
    said = capsys.readouterr().err
    assert "1 class name without samples is left out of 'set': gnu" in said and "Split 'test' of 'set'" in said


def test_numbers_sort_as_numbers_and_anything_else_as_text():
    assert natural({"10", "2", "1"}) == ["1", "2", "10"]
    assert natural({"c10", "c2", "c1"}) == ["c1", "c10", "c2"]


def images(names, source="cifar10"):
    labels = np.arange(len(names))
    store = ArrayStore(lambda: np.zeros((len(names), 2, 2), np.uint8))
    return ImageDataset("x", source, tuple(names), labels, np.full(len(names), "train"), store)


@pytest.mark.parametrize(
    ("names", "source", "same"),
    [
        (CLASSES["cifar10"], "cifar10", True),
        ([name.upper() for name in CLASSES["cifar10"]], "cifar10", True),
        (sorted(CLASSES["cifar10"], reverse=True), "cifar10", False),
        (CLASSES["cifar10"][:9], "cifar10", False),
        (["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"], "cifar10", False),
        ("0123456789", "cifar10", False),
        ("0123456789", "svhn", True),
        (["T-shirt/top", *CLASSES["fashion_mnist"][1:]], "fashion_mnist", True),
        (["cat", "dog"], "folder:pets", True),
        (list(map(str, range(11))), "folder:pets", False),
    ],
)
def test_a_head_of_its_own_needs_the_same_names_in_order(names, source, same):
    assert same_classes(images(names, source), source) is same


@pytest.mark.slow
def test_imagenet_goes_by_wordnet_ids_or_names():
    from bench.datasets.known import _imagenet

    classes = [sorted(choices, key=len) for choices in _imagenet()]
    for form in (0, -1):
        names = [choices[form] for choices in classes]
        assert same_classes(images(names, "imagenet"), "imagenet")
        assert not same_classes(images([*names[1:], names[0]], "imagenet"), "imagenet")
