"""A table in LaTeX, with booktabs rules; the leading group is shaded."""

from __future__ import annotations

import re

from bench.report.formats.shown import LEADING, Shown, shown_rows
from bench.report.formats.table import Table
from bench.system.text import one_line

PLAIN = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "–": "--", "−": "$-$", "∞": r"$\infty$", "≥": r"$\ge$", "≤": r"$\le$",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$",
    "≈": r"$\approx$", "→": r"$\to$", "●": r"$\bullet$",
    "▲": r"$\uparrow$", "▼": r"$\downarrow$", "★": r"$\star$", "…": r"\ldots{}",
}  # fmt: skip
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
PLAIN |= {letter: rf"$\{name}$" for letter, name in GREEK.items()}
WIDEST = 36  # longer texts (in letters) are wrapped to this width (in millimetres)
VALUED = r"\providecommand{\valued}[2]{\begin{tabular}[c]{@{}r@{}}#1\\[-2pt]{\scriptsize #2}\end{tabular}}"
ARROWS = {"above": r" $\uparrow$", "below": r" $\downarrow$"}


def render(table: Table) -> str:
    """Return a `table` environment; it needs booktabs, graphicx (to scale wide tables) and colortbl (for shading)."""
    layout = "".join("l" if table.is_text(c) else "r" for c in table.visible)
    label = re.sub(r"[^A-Za-z0-9-]+", "-", table.name)
    head = " & ".join(escape(c.title) for c in table.visible)
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in shown_rows(table)]
    caption = " ".join(filter(None, [f"{escape(table.title)}.", escape(table.caption)]))
    lines = [
        "% needs \\usepackage{booktabs,colortbl,graphicx}",
        VALUED,
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
    """Escape a text for LaTeX and join its lines."""
    return "".join(PLAIN.get(letter, letter) for letter in one_line(text))


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    text = rf"\parbox[c]{{{WIDEST}mm}}{{\raggedright {text}}}" if len(cell.text) > WIDEST else text
    text = rf"\textbf{{{text}}}" if cell.highlight == "best" else text
    # braces keep a row that begins with a bracket from being read as the length after \\
    text = f"{{{text}}}" if text.startswith("[") else text
    text = f"{text}{ARROWS.get(cell.highlight or '', '')}"
    text = rf"\valued{{{text}}}{{{escape(cell.interval)}}}" if cell.interval else text
    return rf"\cellcolor[gray]{{0.9}}{text}" if cell.highlight in LEADING else text
