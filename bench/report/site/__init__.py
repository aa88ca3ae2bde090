"""The site of a report: static pages that work offline, made from the same objects as tables and figures."""

from __future__ import annotations

from bench.report.site.pages import files, setting_page

__all__ = ["files", "setting_page"]
