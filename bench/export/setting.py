"""The name of a setting as a user types it: DATASET/BACKBONE."""

from __future__ import annotations

from bench.errors import UserError, nearest
from bench.plugins import registry
from bench.plugins.spec import parse


def split_setting(text: str) -> tuple[str, str | None]:
    """Divide DATASET/BACKBONE at the last slash before a backbone's name; the second is None if it names no backbone.

    Raises UserError for text after a slash that is neither a backbone nor part of a dataset's path.
    """
    known = registry.plugins("backbones")
    places = [i for i, c in enumerate(text) if c == "/"]
    for place in reversed(places):
        if _name(text[place + 1 :]) in known and text[:place]:
            return text[:place], text[place + 1 :]
    if places and ":" not in text[: places[0]]:
        rest = text[places[0] + 1 :]
        if ":" in rest and _name(rest):  # module:factory
            return text[: places[0]], rest
        raise UserError(
            f"'{rest}' is not a backbone.{nearest(rest, known)} "
            "Write DATASET/BACKBONE, or the dataset alone and --backbone."
        )
    return text, None


def _name(text: str) -> str | None:
    try:
        return parse(text).name
    except UserError:
        return None
