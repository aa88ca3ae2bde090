"""Find the columns of a table with the images or texts and with the labels: by rule, or as the user names them."""

from __future__ import annotations

import re

import datasets as hub

from bench.errors import UserError, nearest

LABELS = ("label", "labels", "fine_label")
IMAGES = ("image", "img")
WEBDATASET = "cls"  # WebDataset's field for the class, next to `__key__`
_INDEX = re.compile(r"(__.*|unnamed:.*|(image|img|file|row|sample)?_?(index|idx|id)|row|level_\d+)", re.IGNORECASE)


def image_column(where: str, features: hub.Features, wanted: str | None) -> str:
    """Return the column of the images: the user's choice, the only one, or `image` or `img` among several."""
    found = [name for name, kind in features.items() if isinstance(kind, hub.Image)]
    encoded = [name for name, kind in features.items() if _encoded(kind)]
    if wanted is not None:
        return _asked("image", where, wanted, found + encoded, found + encoded)
    candidates = found or encoded
    if not candidates and (named := next((name for name in IMAGES if name in features), None)):
        kind = getattr(features[named], "dtype", "list")
        raise UserError(
            f"Column '{named}' of '{where}' contains values of type {kind}, not image files. Store the encoded images "
            "themselves, or give the path of a folder of images."
        )
    choice = candidates[0] if len(candidates) == 1 else next((name for name in IMAGES if name in candidates), None)
    return choice or _ask("image", where, features, candidates)


def may_hold_images(features: hub.Features) -> bool:
    """Return whether a column contains image files, or has a usual name of one that does."""
    return any(isinstance(kind, hub.Image) or _encoded(kind) for kind in features.values()) or any(
        name in features for name in IMAGES
    )


def texts(features: hub.Features, label: str) -> list[str]:
    """Return the columns that contain text, except the label's."""
    return [name for name, kind in features.items() if name != label and is_text(kind)]


def is_text(kind: object) -> bool:
    """Return whether a column of this kind contains text."""
    return isinstance(kind, hub.Value) and kind.dtype in ("string", "large_string")


def label_column(where: str, features: hub.Features, wanted: str | None) -> str:
    """Return the column of the labels: the user's choice, else `label` or `labels`.

    Also accepted: `fine_label` (CIFAR-100), `cls` (WebDataset), and a column declared as classes if no other column
    could contain them. A column that numbers the rows is used only if the user names it.
    """
    usable = [name for name, kind in features.items() if not _problem(kind)]
    if wanted is not None:
        return checked(where, features, _asked("label", where, wanted, list(features), usable))
    known = (*LABELS, *([WEBDATASET] if "__key__" in features else []))
    columns = {name.casefold(): name for name in reversed(features)} | {name: name for name in features}
    for name in known:
        if name in columns:
            return checked(where, features, columns[name])
    candidates = [name for name in usable if not _INDEX.fullmatch(name)]
    if len(candidates) == 1 and isinstance(features[candidates[0]], hub.ClassLabel):
        return candidates[0]
    return _ask("label", where, features, candidates)


def _asked(role: str, where: str, wanted: str, valid: list[str], offered: list[str]) -> str:
    if wanted in valid:
        return wanted
    raise UserError(f"'{where}' has no {role} column '{wanted}'.{nearest(wanted, offered)}")


def _ask(role: str, where: str, features: hub.Features, candidates: list[str]) -> str:
    if not candidates:
        columns = ", ".join(features)
        raise UserError(f"'{where}' has no {role} column among {columns}. Name one: {where}[{role}=COLUMN].")
    many = "several columns" if len(candidates) > 1 else "a column"
    raise UserError(
        f"'{where}' has {many} that may be its {role}s ({', '.join(candidates)}). "
        f"Name one: {where}[{role}={candidates[0]}]."
    )


def checked(where: str, features: hub.Features, name: str) -> str:
    """Return the name of a column whose values may be classes; otherwise UserError says what it contains."""
    if problem := _problem(features[name]):
        raise UserError(
            f"Column '{name}' of '{where}' contains {problem}, not one class for each sample. "
            f"Name a column of whole numbers or text: {where}[label=COLUMN]."
        )
    return name


def _problem(kind: object) -> str | None:
    """Return what a column contains if its values cannot be classes; None if they may be."""
    if isinstance(kind, hub.ClassLabel):
        return None
    if isinstance(kind, hub.Value):
        plain = ("int", "uint", "float", "bool", "null", "string", "large_string")
        return None if kind.dtype.startswith(plain) else f"values of type {kind.dtype}"
    if isinstance(kind, list | hub.Sequence | hub.LargeList | hub.List):
        return "a list for each row"
    return f"values of type {type(kind).__name__.lower()}"


def _encoded(kind: object) -> bool:
    """Return whether a column may contain image files: bytes, or the hub's struct of bytes and path."""
    if isinstance(kind, hub.Value):
        return kind.dtype in ("binary", "large_binary")
    return isinstance(kind, dict) and "bytes" in kind
