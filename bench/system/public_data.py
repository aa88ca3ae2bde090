"""Recognise public datasets in a name, a path or a weight tag, to decide whether a network has seen them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_SETS = {  # dataset → how its name is written within a longer one
    "cifar100": r"cifa?i?r[\W_]*100(?!\d)",
    "cifar10": r"cifa?i?r[\W_]*10(?!\d)(?!\.[12](?!\d))",  # CIFAR-10.1 and 10.2 are other images
    "svhn": r"svhn|street[\W_]*view[\W_]*house",
    "fashion_mnist": r"fashion[\W_]*mnist",
    "mnist": r"^mnist(?![a-z0-9])(?![\W_]+[mc](?![a-z]))",  # not KMNIST, notMNIST, sign_mnist, MNIST-M …
    "imagenet": r"(?:ilsvrc|imagenette|imagenet|imagewoof)"
    # its validation images, and its re-collected or altered test sets, are other images
    r"(?![\W_]*(?:v[\W_]*2|sketch|[acdehoprx]|es|3dcc|hard|val|validation|img[\W_]val|2012[\W_]*(?:img[\W_])?val)(?![a-z0-9]))"
    r"|(?<![a-z0-9])in(?:1|12|21|22)k(?![a-z0-9])",
    "caltech101": r"caltech[\W_]*101(?!\d)",
    "banking77": r"banking[\W_]*77",
    "clinc150": r"clinc[\W_]*(?:150|oos)",
    "snli": r"(?<![a-z0-9])snli(?![a-z0-9])",
    "multi_nli": r"multi[\W_]*nli|(?<![a-z0-9])mnli(?![a-z0-9])",
    "qqp": r"quora|(?<![a-z0-9])qqp(?![a-z0-9])",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in _SETS.items()}
_WORDS = {name: re.compile(rf"(?<![a-z0-9])(?:{pattern})") for name, pattern in _SETS.items()}
# Methods that pretrain on ImageNet, which file names rarely show; LVD-142M and LVD-1689M contain its images, too.
_PRETRAINED = re.compile(
    r"(?<![a-z])(?:mae|dino|dinov2|dinov3|lvd\d*m|ijepa|moco|mocov\d|swav|simclr|byol|ibot|simmim|beit|beitv2|bamboo)"
    r"(?![a-z])"
)
# Tags of timm's weights that were trained only on other images.
_FREE = re.compile(
    r"(?:openai|laion|datacomp|dfn|metaclip|(?:v\d_)?webli|tinyclip|apple|pali|c_radio|ogvl|yfcc|cc\d+m|sat\d+m)"
)
_HELD_OUT = {"val", "valid", "validation", "test", "testing", "eval"}
# Words that do not change whose images a dataset has. A parent folder with any other word is a project's.
_NEUTRAL = re.compile(
    r"(?:lt|long|tail|longtail|imb|imbalanced?|images?|imgs?|python|batches|py|mat|png|jpe?g|webp|data|dataset|datasets|"
    r"raw|processed|original|full|subset|small|tiny|mini|train|training|val|test|clean|resized|wds|parquet|arrow|the|"
    r"cropped|format|digits|px|x|k|r|if|ir|v|\d+)"
)


def mentioned(name: str, patterns: Mapping[str, re.Pattern[str]] = _PATTERNS) -> frozenset[str]:
    """Return the public datasets that a name mentions, such as `CIFAR10-LT`, `my-cifar-100` or `tiny-imagenet-200`."""
    text = unicodedata.normalize("NFKC", name).lower()
    return frozenset(known for known, pattern in patterns.items() if pattern.search(text))


def named(*parts: str) -> str | None:
    """Return the public dataset that a path or hub name, given by its parts, refers to; None if there is none.

    In the last part any mention counts, in those above it only a dataset's own name (`cifar10/plain_text`). A held-out
    part alone (`imagenet/val`) does not count, because networks are not trained on it. Several are joined by '+'.
    """
    found = [word for part in parts for word in part.split("--") if word not in ("", "/")]  # joined in the hub's cache
    if not found or found[-1].lower() in _HELD_OUT:
        return None
    own = (mentioned(part) for part in reversed(found[:-1]) if _own_name(part))
    sets = mentioned(found[-1]) or next(filter(None, own), frozenset())
    return "+".join(sorted(sets)) or None


def trained_on(*parts: str) -> frozenset[str]:
    """Return the public datasets that weights have seen, from the parts of their path; empty if it mentions none."""
    for i, part in enumerate(reversed(parts)):
        text = part.lower()
        sets = mentioned(part, _WORDS) if not i or _own_name(part) else frozenset()
        if i == 0 and (_PRETRAINED.search(text) or "imagenet" in text or "ilsvrc" in text):
            sets |= {"imagenet"}
        if sets:
            return sets
    return frozenset()


def tag_has_seen_imagenet(tag: str) -> bool:
    """Return whether a tag of timm's weights means training on ImageNet; unknown tags are assumed to."""
    return bool(mentioned(tag)) or bool(_PRETRAINED.search(tag)) or not _FREE.match(tag)


def _own_name(part: str) -> bool:
    """Return whether a name is a dataset's own name, apart from neutral words."""
    rest = unicodedata.normalize("NFKC", part).lower()
    for pattern in _PATTERNS.values():
        rest = pattern.sub(" ", rest)
    return all(_NEUTRAL.fullmatch(word) for word in re.findall(r"[a-z]+|\d+", rest))
