"""The checks of datasets: every violation is found and explained; datasets that conform pass all."""

from __future__ import annotations

import dataclasses
from itertools import count

import numpy as np
import pytest

from bench.check.data import examination
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore
from bench.datasets.texts import TextDataset
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.registry import Plugin

LABELS = np.arange(60) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 5, 3), dtype=np.uint8)
calls = count()


class Store(ArrayStore):
    """Images, with one function replaced."""

    def __init__(self, **replaced):
        super().__init__(lambda: IMAGES)
        for name, function in replaced.items():
            object.__setattr__(self, name, function)


def read(rows):
    return list(IMAGES[np.asarray(rows)])


def good(**changes) -> ImageDataset:
    partition = np.repeat(["train", "test"], [40, 20])
    facts = {"name": "mine", "source": "mine", "class_names": ("a", "b", "c"), "labels": LABELS}
    return ImageDataset(**({**facts, "partition": partition, "store": ArrayStore(lambda: IMAGES)} | changes))


def texts(values) -> TextDataset:
    store = Store(read=lambda rows: [values[int(row) % len(values)] + (f" {row}" if values[0] else "") for row in rows])
    return TextDataset(**{f.name: getattr(good(store=store), f.name) for f in dataclasses.fields(good())})


@pytest.fixture
def mine(monkeypatch):
    """Register a function under the name 'mine', and return its examination."""

    def register(make, about="Images."):
        def function(argument, data_dir):
            return make()

        function.__doc__ = about
        held = {"mine": Plugin("datasets", "mine", "tests:function", "a test", held=function)}
        monkeypatch.setattr(registry, "_files", {**registry._files, "datasets": held})
        return examination("mine")

    return register


BROKEN = {
    "opens": (lambda: 3, "'mine' returns int: return a bench.datasets.images.ImageDataset"),
    "name": (lambda: good(name="yours"), "called 'yours', but it is registered as 'mine'"),
    "name 2": (lambda: good(source=" "), "`source` is empty"),
    "classes": (lambda: good(class_names=("a",)), "There are 1 classes"),
    "classes 2": (lambda: good(class_names=("a", "b", "a")), "Two classes are called 'a'"),
    "classes 3": (lambda: good(class_names=("a", "b", " ")), "Class 2 has an empty name"),
    "labels": (lambda: good(labels=LABELS / 2), "labels are float64 [60]: give a NumPy array of whole numbers"),
    "labels 2": (lambda: good(labels=LABELS + 1), "Labels go from 1 to 3, but there are 3 class_names"),
    "labels 3": (lambda: good(labels=LABELS[:0]), "There are no samples"),
    "partition": (lambda: good(partition=np.full(60, "training")), "'training' is not a partition: valid are train"),
    "partition 2": (lambda: good(partition=np.full(59, "train")), "give one word for each of the 60"),
    "partition 3": (lambda: good(partition=np.full(60, "test")), "No sample is in 'train'"),
    "inputs": (lambda: good(store=Store(read=lambda rows: read(rows)[1:])), "one for each, in the order asked"),
    "inputs 2": (lambda: good(store=Store(read=lambda rows: [x / 255 for x in read(rows)])), "an image is uint8"),
    "inputs 3": (lambda: good(store=Store(read=lambda rows: read(np.sort(rows)))), "in the order asked, and draw"),
    "inputs 4": (lambda: good(store=Store(read=lambda rows: ["x"] * len(rows))), "a str: an image is a NumPy array"),
    "inputs 5": (lambda: texts([""]), "'': a text is a non-empty str"),
    "reopens": (lambda: good(labels=np.roll(LABELS, next(calls))), "labels changes when the dataset is opened again"),
    "files": (lambda: good(store=Store(fingerprint=lambda: 3)), "fingerprint() of the store returns int"),
    "files 2": (lambda: good(store=Store(fingerprint=lambda: str(next(calls)))), "changes although no file did"),
    "splits": (
        lambda: good(labels=np.minimum(np.arange(60), 1), class_names=("a", "b")),
        "a split needs at least 3 per class",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_violation_is_found_and_explained(mine, case):
    make, says = BROKEN[case]
    result = mine(make).result(case.partition(" ")[0])
    assert result.status == "fail" and says in result.message, result


def test_a_store_that_calls_share_is_found(mine):
    class Slow:
        """Keep the rows of a call where the next one overwrites them."""

        def __call__(self, rows):
            self.rows = rows
            for _ in range(2000):
                pass
            import time

            time.sleep(0.002)
            return read(self.rows)

    result = mine(lambda: good(store=Store(read=Slow()))).result("threads")
    assert result.status == "fail" and "read must not change state that calls share" in result.message


def test_equal_classes_have_one_number(mine):
    assert mine(good).result("labels").message == "20 samples per class."


def test_a_docstring_is_demanded(mine):
    assert "mine has no docstring" in mine(good, about=None).result("name").message.replace("function", "mine")


def test_what_deserves_a_look_is_a_warning(mine):
    twice = np.concatenate([IMAGES[:30], IMAGES[:30]])
    result = mine(lambda: good(store=ArrayStore(lambda: twice))).result("copies")
    assert result.status == "warn" and "of 20 test samples are also in train" in result.message
    assert mine(lambda: good(class_names=("a", "b", "c", "d"))).result("labels").status == "warn"


@pytest.mark.parametrize("make", [good, lambda: texts(["hello", "good day"])], ids=["images", "texts"])
def test_a_dataset_that_conforms_passes_every_check(mine, make):
    assert {r.name: r.message for r in mine(make).results() if r.status != "pass"} == {}


def test_built_in_datasets_conform():
    assert {r.name: r.message for r in examination("digits").results() if not r.passed} == {}


def test_a_wrong_name_is_the_users_mistake():
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        examination("digit")
