"""Recompute the logits of stored heads from their bank, for scores that need more than the stored outcomes."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
import torch
from torch import from_numpy

from bench.bank.bank import with_digest
from bench.errors import UserError
from bench.inference import Outcomes
from bench.method import ExitData
from bench.metrics.samples import Measured, Samples, known, measure
from bench.trials.kept import SPLITS, SharedOutcomes
from bench.trials.record import Record
from bench.trials.splits import SharedAnswers

EQUAL = 0.999  # share of predictions that must equal the run's: banks of other processors differ in the last bits


def recomputed(record: Record, point: Measured, shared: SharedOutcomes) -> Measured:
    """Return the operating point with the logits of every exit; stored values are kept.

    Raises UserError if the record's bank is not here or gives different answers; ValueError if the heads cannot be
    read.
    """
    torch.set_num_threads(int(record.provenance.get("threads") or 1))  # as many threads round sums alike
    held = _answers(shared, record.cell.bank_digest, record.point.seed)
    cal, test = (_outcomes(held[split], getattr(point, split)) for split in SPLITS)
    found = measure(
        cal,
        test,
        exit_macs=known(point.exit_macs),
        full_macs=point.full_macs,
        train_counts=point.train_counts,
        answers=(held["cal"].scored, held["test"].scored),
    )
    return dataclasses.replace(found, cal=_stored(found.cal, point.cal), test=_stored(found.test, point.test))


def _outcomes(answers: SharedAnswers, stored: Samples) -> Outcomes:
    same = answers.scored.prediction == stored.exit_prediction if len(stored.exit_index) == len(answers.data) else False
    if np.mean(same) < EQUAL:
        raise UserError("the bank on this machine gives other answers than the run had")
    rows, index = torch.arange(len(answers.data)), from_numpy(stored.exit_index)
    return Outcomes(index, answers.logits[rows, index], answers.data.labels, index, answers.logits)


def _stored(found: Samples, stored: Samples) -> Samples:
    """Return the recomputed samples with the stored values of the run in place of theirs."""
    names = ("prediction", "correct", "confidence", "p_true", "exit_prediction", "exit_confidence", "exit_p_true")
    return dataclasses.replace(found, **{name: getattr(stored, name) for name in names})


@lru_cache(maxsize=1)
def _answers(shared: SharedOutcomes, digest: str, seed: int) -> dict[str, SharedAnswers]:
    """Return the answers of stored heads on cal and test of a seed."""
    heads, data = shared.heads(), held_out(digest, seed)
    return {split: SharedAnswers(heads, held, split) for split, held in data.items()}


def held_out(digest: str, seed: int) -> dict[str, ExitData]:
    """Return cal and test of a seed from the bank of that digest; raise UserError if it is not on this machine."""
    bank = with_digest(digest)
    if bank is None:
        raise UserError(f"bank {digest[:12]}, which is not on this machine (`bench bank build` makes it)")
    return dict(zip(SPLITS, bank.held_out(seed), strict=True))
