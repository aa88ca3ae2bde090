"""Check a dataset: its labels, partitions and inputs, and whether the protocol can split it."""

from __future__ import annotations

from pathlib import Path

from bench.check.data import inputs, labels
from bench.check.data.subject import Data
from bench.check.examine import Examination
from bench.check.result import Check

_OPEN, _LABELLED, _READ = ("opens",), ("labels", "classes"), ("inputs",)


def checks() -> tuple[Check, ...]:
    """Return all checks of a dataset in the order in which they are shown."""
    return (
        Check("opens", "The function must return an ImageDataset or a TextDataset.", labels.opens, ()),
        Check("name", "Name, source and docstring must describe the data.", labels.named, _OPEN),
        Check("classes", "Classes must have different names.", labels.classes, _OPEN),
        Check("labels", "Labels must be class indices, one for each sample.", labels.labelled, _OPEN),
        Check("partition", "Every sample must be in train, val or test.", labels.partition, _OPEN),
        Check("inputs", "Reading must return one input per row, in the order asked.", inputs.reads, ("labels",)),
        Check("reopens", "Opening it twice must give the same data.", inputs.reopens, _READ),
        Check("threads", "Several threads must be able to read.", inputs.threads, _READ),
        Check("files", "The store must name its files and its encoding.", inputs.files, _READ),
        Check("splits", "The protocol must be able to split it.", labels.splits, (*_LABELLED, "partition", *_READ)),
        Check("copies", "No sample should be in both train and test.", inputs.copies, ("partition", *_READ)),
    )


def examination(name: str, *, data_dir: Path | None = None) -> Examination:
    """Return the examination of a dataset by name; raise UserError if the name or a parameter is unknown."""
    return Examination(Data(name, data_dir), checks())
