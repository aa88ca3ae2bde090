"""The stored summary of a setting (JSON), from which pages across settings are made without reading its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter

from bench.inputs import Modality
from bench.report.style import Look
from bench.stats.across import AcrossStatistics, across
from bench.stats.bootstrap import Estimate
from bench.stats.resample import BootstrapConfig
from bench.stats.results import CellStatistics
from bench.trials.accepted import made_by_other_code
from bench.trials.record import Point

SCORES = ("accuracy", "macs", "macs_fraction", "nll", "brier", "ece_mass15", "set_size_lac@0.05",
          "coverage_lac@0.05", "aurc")  # fmt: skip


class Line(NamedTuple):
    """A short form of a record; `scores` are those named in SCORES."""

    id: str
    kind: str
    label: str
    point: str
    budget: float | None
    seed: int
    status: str
    scores: tuple[float | None, ...]
    fit_seconds: float | None
    note: str
    reason: str | None

    def score(self, name: str) -> float | None:
        """Return one of SCORES."""
        return self.scores[SCORES.index(name)]


class Maker(NamedTuple):
    """The code that made some records. other_code: neither the current code nor accepted for the same version."""

    kind: Literal["method", "reference"]
    method: str
    version: int | None
    heads: dict[str, int | str]
    code: str
    other_code: bool

    @classmethod
    def of(cls, point: Point) -> Maker:
        """Return the maker of a record."""
        return cls(point.kind, point.method, point.version, point.heads, point.code, made_by_other_code(point))

    @property
    def up_to_date(self) -> bool:
        """Return whether `other_code` is still right for the code that is installed now."""
        point = Point(
            kind=self.kind, method=self.method, label=self.method, params={}, version=self.version, heads=self.heads,
            code=self.code, point="", budget=None, seed=0,
        )  # fmt: skip
        return made_by_other_code(point) == self.other_code


@dataclass(frozen=True)
class Download:
    """A table or figure with its files: (format, path relative to the report's folder)."""

    name: str
    title: str
    files: tuple[tuple[str, str], ...]

    def path(self, form: str) -> str | None:
        """Return the path of the file in a format, None if it is not written in that format."""
        return dict(self.files).get(form)


@dataclass(frozen=True)
class CellSummary:
    """The data of one setting for pages across settings."""

    folder: str
    name: str
    dataset: str
    backbone: str
    protocol: str
    modality: Modality
    statistics: CellStatistics
    looks: dict[str, Look]
    lines: tuple[Line, ...]  # by id
    params: dict[str, dict[str, tuple[str, ...]]]  # label: parameter: values in the records
    scores: dict[str, dict[str, dict[str, Estimate]]]  # label: point: score: mean over seeds
    provenance: dict[str, dict[str, int]]  # fact: value: number of records
    codes: dict[str, dict[str, int]]  # label: digest of the code: number of records
    makers: tuple[Maker, ...]
    facts: tuple[tuple[str, str], ...]
    finder: dict[str, Any]  # data for the sliders of the site
    downloads: tuple[Download, ...] = ()

    def of(self, label: str) -> list[Line]:
        """Return the records of a method."""
        return [line for line in self.lines if line.kind == "method" and line.label == label]


@dataclass(frozen=True)
class Report:
    """All settings in a stable order, and statistics across them."""

    cells: tuple[CellSummary, ...]
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    @cached_property
    def tracks(self) -> tuple[Report, ...]:
        """Separate reports for images and texts, which share no tables; only this report if all settings are alike."""
        kinds = sorted({cell.modality for cell in self.cells})
        parts = (tuple(cell for cell in self.cells if cell.modality == kind) for kind in kinds)
        return tuple(Report(cells, self.bootstrap) for cells in parts) if len(kinds) > 1 else (self,)

    @cached_property
    def across(self) -> AcrossStatistics:
        """Statistics across the settings of one track. Raises ValueError if there are several tracks."""
        if len(self.tracks) > 1:
            raise ValueError("image and text settings cannot be compared; use each report in `tracks`")
        return across([cell.statistics for cell in self.cells], self.bootstrap)

    def labelled(self, name: str, title: str, track: Report) -> tuple[str, str]:
        """Return a name and title for a table or figure of a track; they name the track if there are several."""
        if len(self.tracks) == 1:
            return name, title
        kind = track.cells[0].modality
        return name if kind == "image" else f"{name}_{kind}", f"{title}: {kind}s"

    @property
    def records(self) -> int:
        """The number of records."""
        return sum(len(cell.lines) for cell in self.cells)

    @property
    def provenance(self) -> dict[str, dict[str, int]]:
        """The values of each provenance fact, and the number of records with each value."""
        return merged(cell.provenance for cell in self.cells)


def report_of(cells: Iterable[CellSummary], bootstrap: BootstrapConfig | None = None) -> Report:
    """Return the report of settings."""
    return Report(tuple(cells), bootstrap or BootstrapConfig())


def to_json(summary: CellSummary) -> bytes:
    """Return a summary as JSON."""
    return _adapter().dump_json((summary,))


def from_json(content: bytes) -> CellSummary:
    """Return the summary in the JSON of `to_json`. Raises ValueError if it is damaged."""
    return _adapter().validate_json(content)[0]


@cache
def _adapter() -> TypeAdapter[tuple[CellSummary]]:
    return TypeAdapter(tuple[CellSummary], config=ConfigDict(ser_json_inf_nan="constants"))


def merged(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part in parts:
        for key, values in part.items():
            counts.setdefault(key, Counter()).update(values)
    return {key: dict(sorted(counts[key].items())) for key in sorted(counts)}
