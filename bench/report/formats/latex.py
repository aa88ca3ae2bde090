"""A table in LaTeX, with booktabs rules."""

from __future__ import annotations

import re

from bench.report.formats.shown import Shown, shown_rows
from bench.report.table import Table

PLAIN = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "–": "--", "−": "$-$", "∞": r"$\infty$", "≥": r"$\ge$", "≤": r"$\le$",
    "±": r"$\pm$", "×": r"$\times$", "α": r"$\alpha$", "λ": r"$\lambda$", "φ": r"$\varphi$", "·": r"$\cdot$",
    "≈": r"$\approx$", "→": r"$\to$", "▲": r"$\uparrow$", "▼": r"$\downarrow$", "★": r"$\star$", "…": r"\ldots{}",
}  # fmt: skip
ARROWS = {"above": r" $\uparrow$", "below": r" $\downarrow$"}


def render(table: Table) -> str:
    """Return a `table` environment; it needs booktabs, and graphicx to fit wide ones to the line."""
    layout = "".join("l" if table.is_text(c) else "r" for c in table.visible)
    label = re.sub(r"[^A-Za-z0-9-]+", "-", table.name)
    head = " & ".join(escape(c.title) for c in table.visible)
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in shown_rows(table)]
    caption = " ".join(filter(None, [f"{escape(table.title)}.", escape(table.caption)]))
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{label}}}",
        r"\setlength{\tabcolsep}{4pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Write a text so that LaTeX shows it as it is, on one line."""
    return "".join(PLAIN.get(letter, letter) for letter in " ".join(str(text).split()))


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    text = rf"\textbf{{{text}}}" if cell.mark == "best" else text
    # braces keep a row that begins with a bracket from being read as the length after \\
    interval = rf" {{\scriptsize {escape(cell.interval)}}}" if cell.interval else ""
    text = f"{{{text}}}" if text.startswith("[") else text
    return f"{text}{ARROWS.get(cell.mark or '', '')}{interval}"
