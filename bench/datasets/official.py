"""Facts about the official data: sizes, checksums, digests, and which hub names are the same data."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Official:
    """One public dataset as its authors released it."""

    title: str
    classes: int
    train: int
    test: int
    folders: tuple[str, ...]  # sub-folders of a data folder that may contain it; '' is the folder itself
    label: tuple[str, ...]  # names that its label column may have in parquet files
    bytes: int  # size of the download: the authors' archives
    unread: tuple[str, ...] = ()  # folders of its versions for other languages, which are not supported
    val: int = 0
    released_as: str = ""  # the lossy encoding of the authors' own files


FAMILY = {
    "cifar10": Official(
        *("CIFAR-10", 10, 50_000, 10_000, ("cifar10", "cifar10/plain_text", "plain_text", ""), ("label",)),
        bytes=170_498_071,
        unread=("cifar-10-batches-bin", "cifar-10-batches-mat"),
    ),
    "cifar100": Official(
        *("CIFAR-100", 100, 50_000, 10_000, ("cifar100", "cifar100/cifar100", ""), ("fine_label", "label")),
        bytes=169_001_437,
        unread=("cifar-100-binary", "cifar-100-matlab"),
    ),
    "svhn": Official(
        *("SVHN", 10, 73_257, 26_032, ("svhn", "svhn/cropped_digits", "cropped_digits", ""), ("label",)),
        bytes=246_316_178,
    ),
    "fashion_mnist": Official(
        *("Fashion-MNIST", 10, 60_000, 10_000, ("fashion_mnist", "fashion_mnist/fashion_mnist", ""), ("label",)),
        bytes=30_878_645,
    ),
    "caltech101": Official(  # without background and Faces_easy; the authors made no split, so only the sum counts
        *("Caltech-101", 100, 6_593, 1_649, ("caltech101", "caltech101/data", ""), ("label",)),
        bytes=121_217_709,
        released_as="jpeg",
    ),
    "banking77": Official("Banking77", 77, 10_003, 3_080, ("banking77", ""), ("label",), bytes=1_100_000),
    "clinc150": Official(
        *("CLINC150", 150, 15_000, 4_500, ("clinc150", "clinc_oos/plus", "clinc_oos", ""), ("intent", "label")),
        bytes=700_000,
        val=3_000,
    ),
}

# Digests of lossless copies, as `Dataset.digest` computes them; without one, MD5 sums decide.
DIGESTS: dict[str, tuple[str, ...]] = {
    "mnist5k": ("1897f7c7b3fc39c75a851204ab3bf47becdaac7f8a51e750669b44c92b530e8b",),
    "digits": ("3a39421d60be92dbc7c2f6a19ae5bc40582412f1411da8b49af39f8a87c4a190",),
    "cifar10": ("fbc3ce1c84cf741fa874cc55ccd3ca6bb5361ca2f213361af952fabfe69ee1aa",),
    "cifar100": ("8859f57f70f613f6983d44625c12ddbd02a4d58700ba6c626fac8cc4f7c4f475",),
    "svhn": (),
    "caltech101": (),
    "banking77": ("d0762d18b02a1411277fe15cc2558465ef5a3fa28adb61050e5793204187d4a7",),
    "clinc150": ("1aaf5fff3c7a4c391f9f7fe2b4e9af19ac84ad4a654aec5ad0941c602b3659af",),
    "fashion_mnist": ("7c693c6d951e18a4cbff2187e4ba6d6c365295b660e4694cd7e3dd34f910f837",),
}

# MD5 of the files that the authors distribute.
MD5 = {
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    "svhn": {
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    },
}

_SAME = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "mnist": "mnist",
    "fashionmnist": "fashion_mnist",
    "svhn": "svhn",
    "svhncroppeddigits": "svhn",
}
_IMAGENET = re.compile(
    r"(tiny|mini)?(ilsvrc|imagenet|imagenette|imagewoof)\d*(2012|(1|21|22)k|10|100)?(\d+(x\d+|px)?|wds|resized)*"
)


def drawn(name: str, title: str) -> str:
    """Return what seeds the draws of splits: the public dataset that a hub or folder name stands for, else the title.

    This rule of protocol v1 must not change. `bench.system.public_data.named` decides whose images they are.
    """
    last = re.sub(r"[^a-z0-9]", "", name.rstrip("/").rpartition("/")[2].lower())
    if last in _SAME:
        return _SAME[last]
    return "imagenet" if _IMAGENET.fullmatch(last) else title
