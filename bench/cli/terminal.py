"""Print on every terminal; names from users and files are plain text, never markup or control codes."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

from bench.system.text import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


WIDTH = 80  # columns of a log
ASCII = str.maketrans({"−": "-", "–": "-", "∞": "inf", "●": "*", "▲": "^", "▼": "v"})


def prepare() -> None:
    """Print characters that the terminal or log cannot show as `?` instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="replace")


def say(text: object = "", *, error: bool = False) -> None:
    """Print a line."""
    print(clean(text), file=sys.stderr if error else sys.stdout)


def signs(text: str) -> str:
    """Return a text, with ASCII signs if standard output cannot encode it: a minus must never become `?`."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(ASCII)
    return text


def say_json(value: Any) -> None:
    """Print JSON in ASCII, which does not depend on the encoding of the terminal."""
    print(json.dumps(value, indent=1, default=str))


def plain(text: object, style: str = "") -> Text:
    """Return a text that rich shows unchanged in any console, brackets included."""
    from rich.text import Text

    return Text(clean(text), style=style)


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints every string as plain text."""
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(clean(text), **options | {"markup": False, "emoji": False})

        def status(self, status: Any, **options: Any) -> Any:
            return super().status(plain(status) if isinstance(status, str) else status, **options)

    return Plain(stderr=stderr, markup=False, emoji=False, highlight=False)


def table(*headers: str, title: str | None = None, caption: str | None = None, **options: Any) -> Table:
    """Return a table that shows the strings of its rows, title and caption unchanged in any console."""
    from rich.table import Table

    class Plain(Table):
        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*(plain(cell) if isinstance(cell, str) else cell for cell in cells), **options)

    least = min(len(title or ""), WIDTH)  # a title is as wide as its table
    made = Plain(*headers, title_justify="left", caption_justify="left", min_width=least, **options)
    made.title = None if title is None else plain(title, "table.title")
    made.caption = None if caption is None else plain(caption, "table.caption")
    return made
