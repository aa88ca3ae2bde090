"""The identity of a setting: what its bank was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from bench.bank.bank import Bank
    from bench.bank.plan import Plan


class Cell(BaseModel):
    """What was measured on: one dataset through one frozen backbone, under one protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    dataset_variant: str | None = Field(
        description="why the images are not the official ones, e.g. 'jpeg90'; None if they are"
    )
    dataset_digest: str
    backbone: str
    image_size: int
    exit_names: tuple[str, ...]
    bank_digest: str
    protocol_version: str = Field(description="'v1', or 'v1-seen' where the backbone has seen the training set")
    limit: int | None = Field(
        default=None, description="images per split of a smoke run; such records compare with nothing"
    )


def cell_of(bank: Bank) -> Cell:
    """Describe a bank as a record's cell."""
    m = bank.manifest
    return Cell(
        dataset=m.dataset,
        dataset_variant=m.dataset_variant,
        dataset_digest=m.dataset_digest,
        backbone=m.backbone,
        image_size=m.image_size,
        exit_names=tuple(m.exit_names),
        bank_digest=bank.digest,
        protocol_version=m.protocol,
        limit=m.limit,
    )


def planned_cell(plan: Plan) -> Cell:
    """Describe a planned bank, which may not be there yet, as its records will."""
    return Cell(
        dataset=plan.dataset.name,
        dataset_variant=plan.dataset.variant,
        dataset_digest=plan.dataset.digest,
        backbone=plan.backbone.name,
        image_size=plan.transform.size,
        exit_names=tuple(plan.backbone.exit_names),
        bank_digest=plan.digest,
        protocol_version=plan.splits.protocol,
        limit=plan.splits.limit,
    )
