"""Compare names that look the same, and describe how they differ."""

from __future__ import annotations

import unicodedata

CASE = "upper and lower case"
TWINS = str.maketrans("АВЕКМНОРСТХаеорсухіјѕһԁΑΒΕΖΗΙΚΜΝΟΡΤΧοɡ", "ABEKMHOPCTXaeopcyxijshdABEZHIKMNOPTXog")


def canonical(name: str) -> str:
    """Return a name in the Unicode form used for comparison."""
    return unicodedata.normalize("NFC", name)


def alike(name: str) -> str:
    """Return a form that names which look the same share: without case, outer spaces and invisible characters."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join(visible.split()).translate(TWINS).casefold()


def difference(name: str, other: str) -> str:
    if name.casefold() == other.casefold():
        return CASE
    if "".join(name.split()).casefold() == "".join(other.split()).casefold():
        return "spaces"
    if any(unicodedata.category(c) in ("Cf", "Cc") for c in name + other):
        return "invisible characters"
    return "the Unicode form of a letter, or in a letter of another script"
