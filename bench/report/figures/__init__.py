"""Figures of a report: each as SVG, PNG and the data that it draws."""

from bench.report import drawing  # noqa: F401 - imports matplotlib, so it comes first
from bench.report.figures.contents import cell_figures, overall_figures
from bench.report.figures.file import FigureFile, FigureSet, LeftOut, render

__all__ = ["FigureFile", "FigureSet", "LeftOut", "cell_figures", "overall_figures", "render"]
