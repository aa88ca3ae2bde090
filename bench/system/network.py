"""Whether this process may download: a plan shows what a run would download, without downloading it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bench.errors import UserError

_allowed: ContextVar[bool] = ContextVar("downloads allowed", default=True)


class ToDownload(UserError):
    """Data or weights are not on this machine, and downloading is not allowed."""

    def __init__(self, what: str, bytes_: int | None = None) -> None:
        size = "" if bytes_ is None else f" ({bytes_ / 1e6:,.0f} MB)"
        super().__init__(f"{what}{size} must be downloaded, which `bench run` and `bench bank build` do.")
        self.what, self.bytes = what, bytes_


@contextmanager
def no_downloads() -> Iterator[None]:
    """Make `about_to_download` raise ToDownload in the block."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def downloads_allowed() -> bool:
    """Return whether downloads are allowed here."""
    return _allowed.get()


def about_to_download(what: str, bytes_: int | None = None) -> None:
    """Raise ToDownload if downloads are not allowed; call it right before every download, with its size if known."""
    if not _allowed.get():
        raise ToDownload(what, bytes_)


@contextmanager
def hub_offline(offline: bool = True) -> Iterator[None]:
    """Make the Hugging Face libraries use only their caches in the block, if `offline`."""
    import huggingface_hub.constants as hub

    places: list[Any] = [module for module in (hub, sys.modules.get("datasets.config")) if module]
    before = [place.HF_HUB_OFFLINE for place in places]
    for place, was in zip(places, before, strict=True):
        place.HF_HUB_OFFLINE = was or offline
    try:
        yield
    finally:
        for place, was in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = was
