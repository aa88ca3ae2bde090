"""The classes that a network's own head was trained on, in its order, and whether a dataset has the same ones."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bench.datasets.official import DIGESTS

if TYPE_CHECKING:
    from bench.datasets.dataset import Dataset

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple motorcycle mountain mouse mushroom oak orange orchid otter palm pear
pickup_truck pine plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow wolf woman worm
"""
_CALTECH101 = """
faces leopards motorbikes accordion airplanes anchor ant barrel bass beaver binocular bonsai brain
brontosaurus buddha butterfly camera cannon car_side ceiling_fan cellphone chair chandelier cougar_body
cougar_face crab crayfish crocodile crocodile_head cup dalmatian dollar_bill dolphin dragonfly
electric_guitar elephant emu euphonium ewer ferry flamingo flamingo_head garfield gerenuk gramophone
grand_piano hawksbill headphone hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp
laptop llama lobster lotus mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda
pigeon pizza platypus pyramid revolver rhino rooster saxophone schooner scissors scorpion sea_horse
snoopy soccer_ball stapler starfish stegosaurus stop_sign strawberry sunflower tick trilobite umbrella
watch water_lilly wheelchair wild_cat windsor_chair wrench yin_yang
"""  # in the order of the authors' folders
DIGITS = tuple("0123456789")
CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": DIGITS,
    "svhn": DIGITS,
    "fashion_mnist": (
        *("T - shirt / top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": tuple(_CIFAR100.split()),
    "caltech101": tuple(_CALTECH101.split()),
}


def same_classes(dataset: Dataset, source: str) -> bool:
    """Return whether class c of a dataset is class c of the public dataset `source`, for every c.

    This is decided by the ordered names, or by the digest of the official data, which covers every label. If the class
    names of a source are not known (a user's own), the classes of a dataset of that name must be in the order of their
    names as text, as training loops number them.
    """
    names = tuple(map(str, dataset.class_names))
    known = _known(source)
    if known is None:
        return not all(name.isdigit() for name in names) or names == tuple(sorted(names))
    if len(names) == len(known) and all(_words(n) & choices for n, choices in zip(names, known, strict=True)):
        return True
    return bool(DIGESTS.get(source)) and dataset.digest in DIGESTS[source]


def official_order(names: tuple[str, ...], source: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return these class names in the order of `source`, and the new index of each class: int64 [C].

    Names of other classes keep their order.
    """
    position = {_plain(name): i for i, name in enumerate(CLASSES[source])}
    found = [position.get(_plain(name), -1) for name in names]
    if sorted(found) != list(range(len(position))):
        return names, np.arange(len(names))
    return tuple(name for _, name in sorted(zip(found, names, strict=True))), np.array(found, dtype=np.int64)


def foreign(names: tuple[str, ...], source: str) -> bool:
    """Return whether none of these names is a class of `source`."""
    return {_plain(name) for name in names}.isdisjoint(map(_plain, CLASSES[source]))


@cache
def _known(source: str) -> tuple[frozenset[str], ...] | None:
    """Return the names of each class of a public dataset; None if they are not known here."""
    if source in CLASSES:
        return tuple(map(_words, CLASSES[source]))
    return _imagenet() if source == "imagenet" else None


def _imagenet() -> tuple[frozenset[str], ...]:
    """Return WordNet ids and synonyms of the 1,000 classes."""
    from bench.system.compat import import_timm

    info = import_timm().data.ImageNetInfo("imagenet-1k")
    names = [(info.index_to_label_name(i), info.index_to_description(i)) for i in range(info.num_classes())]
    return tuple(_words(synset) | _words(synonyms) for synset, synonyms in names)


def _words(name: str) -> frozenset[str]:
    """Return a name and, if it contains commas, its synonyms."""
    return frozenset(map(_plain, (name, *name.split(","))))


def _plain(name: str) -> str:
    """Return a name without case, spaces, and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold())
