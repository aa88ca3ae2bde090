"""Make external text safe to show and to store: names, labels, notes, reasons, paths.

Every output format (terminal, CSV, Markdown, HTML, LaTeX, SVG) and every message goes through `clean`.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters besides tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks and overrides
    "\ufeff\ufff9-\ufffb\ufffe\uffff"  # byte order mark, annotations, noncharacters
    "\ud800-\udfff\U000e0000-\U000e007f]"  # lone surrogates, invisible tags
)
_BYTES = re.compile("[\ud800-\udfff]")


def clean(text: object) -> str:
    r"""Return a text with control characters, direction overrides and lone surrogates escaped: `\x1b`, `\u202e`.

    Tabs and line feeds stay.
    """
    return _UNSAFE.sub(_visible, str(text))


def one_line(text: object) -> str:
    """Return a clean text on one line, with single spaces."""
    return clean(" ".join(str(text).split()))


def counted(number: int, noun: str) -> str:
    """Return a number with a noun: `1 seed`, `3,000 seeds`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def file_size(count: int) -> str:
    """Return a number of bytes as text: `53 kB`, `1.5 MB`, `12.30 GB`."""
    if count >= 1e9:
        return f"{count / 1e9:,.2f} GB"
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def storable(text: str) -> str:
    r"""Return a name that can be stored in any file: bytes of a file name that are not UTF-8 become `\xe9`."""
    return _BYTES.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte of a file name that is not UTF-8
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
