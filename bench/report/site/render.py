"""Render templates: text is escaped, JSON cannot end its element, and a content policy forbids network requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.report.site.about import inline
from bench.system.text import clean

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{inline}; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
ASSETS = ("site.css", "site.js", "tables.js", "finder.js", "plot.js")


def page(template: str, **context: Any) -> bytes:
    """Render a page. plots: allow inline styles, which plotly writes into its SVG."""
    policy = POLICY.format(inline=" 'unsafe-inline'" if context.get("plots") else "")
    return environment().get_template(template).render(policy=policy, **context).encode()


@cache
def environment() -> Environment:
    """Return the environment of all templates; an undefined name raises an error."""
    folder = resources.files("bench.report.site") / "templates"
    made = Environment(
        loader=FileSystemLoader(str(folder)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"inline": inline, "json": as_json, "soft": soft}
    return made


def _finish(value: Any) -> Any:
    """Remove control characters from the output of a template before it is escaped."""
    return _cleaned(value) if isinstance(value, str) else value


def as_json(value: Any) -> Markup:
    """Return JSON for a `<script type="application/json">`; no text in it can end the element or a line."""
    text = json.dumps(_cleaned(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def methods_js(sources: Mapping[str, Mapping[str, str]]) -> bytes:
    """Return a script with the family and basis of every method, by label, which pages load for their filters.

    They are not in the pages of settings, so that these depend only on their records.
    """
    known = {label: {key: held.get(key, "") for key in ("family", "basis")} for label, held in sources.items()}
    return f"window.exitbenchMethods = {as_json(known)};\n".encode()


def _cleaned(value: Any) -> Any:
    """Return JSON values with control characters removed from texts."""
    if isinstance(value, str):
        return Markup(clean(value)) if isinstance(value, Markup) else clean(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(held) for key, held in value.items()}
    return [_cleaned(held) for held in value] if isinstance(value, list | tuple) else value


def soft(name: str) -> Markup:
    """Return a name with places to break after underscores, brackets and signs; screen readers need the plain name."""
    parts = re.split(r"(?<=[_=,/\[])(?=[^_=,/\[])", name)
    return Markup("<wbr>").join(escape(part) for part in parts)


def assets() -> dict[str, bytes]:
    """Return the style sheet, the scripts and plotly's bundle by name."""
    own = resources.files("bench.report.site") / "assets"
    found = {name: (own / name).read_bytes() for name in ASSETS}
    bundle = resources.files("plotly") / "package_data" / "plotly.min.js"
    return found | {"plotly.min.js": bundle.read_bytes()}
