"""Splits of a dataset that was saved to disk by `save_to_disk`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import datasets as hub

from bench.datasets.roles import assign
from bench.datasets.splits import Split, opening, tell_left_out
from bench.errors import UserError


def is_saved(path: Path) -> bool:
    """Return whether a folder is a dataset saved by `save_to_disk`, or contains only such folders."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file() or bool(_saved_below(path))


def open_saved(where: str, path: Path, wanted: Mapping[str, str | None]) -> dict[str, Split]:
    """Open the splits of a dataset that was saved by `save_to_disk`."""
    if (path / "state.json").is_file():
        with opening(where, "Save the dataset again"):
            return {"train": Split("train", hub.load_from_disk(str(path)))}
    below = _saved_below(path)
    listed = _listed(where, path / "dataset_dict.json")
    if missing := [name for name in listed if name not in below]:
        raise UserError(f"'{where}' is incomplete: its splits {', '.join(missing)} have no folder. Copy it again.")
    parts = assign(where, below, wanted)
    tell_left_out(where, [name for name in below if name not in parts.values()])
    with opening(where, "Save the dataset again"):
        return {part: Split(name, hub.load_from_disk(str(path / name))) for part, name in parts.items()}


def _saved_below(path: Path) -> list[str]:
    return sorted(place.parent.name for place in path.glob("*/state.json"))


def _listed(where: str, path: Path) -> list[str]:
    """Return the splits that a saved dataset declares."""
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))["splits"] if path.is_file() else []
        return [str(name) for name in splits]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} of '{where}' cannot be read ({error}). Save the dataset again.") from error
