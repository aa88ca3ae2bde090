"""Models on the Hugging Face hub, and their copies in its cache."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from bench.errors import UserError
from bench.system.network import ToDownload, downloads_allowed, hub_offline
from bench.system.recall import unrepeatable, watch_tree

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def download(name: str, files: Sequence[str]) -> Path:
    """Return the folder in the hub's cache with a model's files that match the patterns; download missing ones.

    Raises ToDownload if the model is missing and downloads are not allowed, UserError if it cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    allowed = downloads_allowed()
    try:
        with hub_offline(not allowed or not hub_resolves()):
            folder = snapshot_download(name, allow_patterns=list(files))
    except Exception as error:  # the hub's client raises many kinds
        if not allowed:
            raise ToDownload(f"The model {name}") from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"The model {name} is not on this machine and cannot be downloaded: {reason} Connect to the Hugging Face "
            "hub once, or give a folder that contains it."
        ) from error
    watch_hub(name)
    return Path(folder)


def watch_hub(model_id: str | None) -> None:
    """Watch the copy in the hub's cache. Weights from other sources have no known file to watch."""
    import huggingface_hub.constants as hub

    folder = Path(hub.HF_HUB_CACHE) / f"models--{(model_id or '').replace('/', '--')}"
    if model_id and folder.is_dir():
        watch_tree(folder)
    else:
        unrepeatable()


def hub_resolves() -> bool:
    """Return whether the hub's name resolves; if not, the libraries would retry for a minute."""
    import huggingface_hub.constants as hub

    if any(os.environ.get(name) for name in _PROXIES):
        return True
    try:
        socket.getaddrinfo(urlparse(hub.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True
