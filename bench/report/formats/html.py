"""A table in HTML: an element for the site, or a page of its own."""

from __future__ import annotations

import math
from html import escape

from bench.report.formats.data import DIGITS, plain
from bench.report.formats.shown import SIGNS, Shown, shown_rows
from bench.report.formats.table import Column, Table, Value

STYLE = (
    "body{font:16px/1.45 system-ui,sans-serif;margin:2rem;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse}caption{caption-side:bottom;text-align:left;padding-top:.7rem;max-width:75ch}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
    ".number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td:last-child{min-width:16rem}.interval{color:#666;font-size:.8em;display:block}"
    "thead th{border-bottom:2px solid #444;white-space:normal}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}th,td{border-color:#444}"
    ".interval{color:#aaa}thead th{border-color:#aaa}}"
)


def render(table: Table) -> str:
    """Return a `<table>` whose cells hold their unscaled value as `data-value` ('' where there is none)."""
    columns = table.visible
    kinds = ["text" if table.is_text(c) else "number" for c in columns]
    head = "".join(map(_heading, columns, kinds))
    rows = []
    for row, cells in zip(table.rows, shown_rows(table), strict=False):
        made = [_cell(c, row.get(c.key), s, k) for c, s, k in zip(columns, cells, kinds, strict=True)]
        rows.append(f"<tr>{''.join(made)}</tr>")
    body = "\n".join(rows)
    caption = f"<caption>{escape(table.caption)}</caption>\n" if table.caption else ""
    name = escape(table.name)
    table_body = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<table class="data" data-table="{name}">\n{caption}{table_body}\n</table>\n'


def page(table: Table) -> str:
    """Return a whole document that needs nothing else."""
    title = escape(table.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body>\n<h1>{title}</h1>\n{render(table)}</body>\n</html>\n"
    )


def _heading(column: Column, kind: str) -> str:
    note = f' title="{escape(column.note)}"' if column.note else ""
    return f'<th scope="col" class="{kind}" data-key="{escape(column.key)}"{note}>{escape(column.title)}</th>'


def _cell(column: Column, value: Value, cell: Shown, kind: str) -> str:
    text = escape(cell.text)
    text = f"<strong>{text}</strong>" if cell.mark == "best" else text
    sign = SIGNS.get(cell.mark or "")
    text = f'{text} <span class="{cell.mark}">{sign}</span>' if sign else text
    text = f'{text} <span class="interval">{escape(cell.interval)}</span>' if cell.interval else text
    return f'<td class="{kind}" data-value="{escape(_plain(value))}">{text}</td>'


def _plain(value: Value) -> str:
    found = plain(value)
    if isinstance(found, float):
        return repr(found).replace("inf", "Infinity") if math.isinf(found) else f"{found:.{DIGITS}g}"
    return "" if found is None else str(found)
