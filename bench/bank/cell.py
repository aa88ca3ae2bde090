"""The identity of a setting: what its bank was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from bench.bank.bank import Bank
    from bench.bank.manifest import Manifest
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
    protocol_version: str = Field(description="'v1', or 'v1-seen' if the backbone has seen the training set")
    limit: int | None = Field(
        default=None, description="images per split of a smoke run; such records are not comparable"
    )

    @property
    def title(self) -> str:
        """The setting as a display names it."""
        return f"{self.dataset} → {self.backbone}, {self.image_size} px"


def cell_of(bank: Bank | Manifest | Plan) -> Cell:
    """Return the setting of a bank, built or planned."""
    facts = dict(bank.identity)
    return Cell(bank_digest=facts.pop("digest"), protocol_version=facts.pop("protocol"), **facts)
