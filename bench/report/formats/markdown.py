"""A table in Markdown, as GitHub shows it."""

from __future__ import annotations

from bench.report.formats.shown import LEADING, SIGNS, Shown, shown_rows
from bench.report.formats.table import Table
from bench.report.text import escape

MARK = "●"  # Markdown cannot shade


def render(table: Table) -> str:
    """Return the table and, below it, its caption."""
    align = ["---" if table.is_text(c) else "--:" for c in table.visible]
    lines = [[escape(c.title) for c in table.visible], align]
    lines += [[_cell(cell) for cell in row] for row in shown_rows(table)]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    caption = escape(table.caption)
    return f"{text}\n\n{caption}\n" if caption else f"{text}\n"


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if cell.highlight == "best" else text
    text = f"{MARK} {text}" if cell.highlight in LEADING else text
    sign = SIGNS.get(cell.highlight or "")
    interval = f"<br><sub>{escape(cell.interval).replace(' ', '&nbsp;')}</sub>" if cell.interval else ""
    return " ".join(filter(None, [text, sign])) + interval
