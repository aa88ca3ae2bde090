"""Download one file from an address that the user gives."""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path

from bench.errors import UserError
from bench.system.network import about_to_download

PATIENCE = 60.0  # seconds to wait for an answer


def is_url(text: str) -> bool:
    """Return whether a text is an http(s) address rather than a path."""
    return text.startswith(("http://", "https://"))


def download(url: str, path: Path) -> None:
    """Store the file at an http(s) address; raise UserError if it cannot be fetched."""
    about_to_download(url)
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UserError(f"'{url}' cannot be downloaded ({reason}). Check the address, or give a file.") from None
