"""The paths of pages, which depend only on the name of a setting or method."""

from __future__ import annotations

import hashlib

from bench.system.files import slug

LONGEST = 80  # characters of a file name's stem


def setting_page(folder: str) -> str:
    """Return the path of a setting's page within the site. folder: the folder of the setting's report."""
    return f"settings/{folder}.html"


def method_page(label: str) -> str:
    """Return the path of a method's page within the site."""
    return f"methods/{stem(label)}.html"


def setting_records(folder: str) -> str:
    """Return the path of the CSV of a setting's records within the site."""
    return f"records/{folder}.csv"


def setting_policy(folder: str, name: str) -> str:
    """Return the path of an exported policy of a setting within the site."""
    return f"policies/{folder}/{name}"


def method_records(label: str) -> str:
    """Return the path of the CSV of a method's records within the site."""
    return f"methods/{stem(label)}.csv"


def stem(name: str) -> str:
    """Return the stem of a file name, with a digest unless the name is valid and unique on every file system."""
    short = slug(name)
    if short == name == name.lower() and name not in ("index", "unnamed") and len(name) <= LONGEST:
        return name
    return f"{short[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
