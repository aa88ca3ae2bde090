"""The identity of a setting: what its bank was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from bench.inputs import Modality, size_text

if TYPE_CHECKING:
    from bench.bank.bank import Bank
    from bench.bank.manifest import Manifest
    from bench.bank.plan import Plan


class Cell(BaseModel):
    """A setting: one dataset through one frozen backbone, under one protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    dataset_variant: str | None = Field(
        description="why the data is not the official one, e.g. 'jpeg90'; None if they are"
    )
    dataset_digest: str
    backbone: str
    modality: Modality = "image"
    image_size: int = Field(
        description="side in pixels; of texts the mean number of tokens, which costs are counted at"
    )
    exit_names: tuple[str, ...]
    bank_digest: str
    protocol_version: str = Field(
        description="'v1', 'v1-seen' if the backbone has seen the training set, 'v2' if seeds draw their own pools"
    )
    limit: int | None = Field(
        default=None, description="samples per split of a smoke run; such records are not comparable"
    )

    @property
    def title(self) -> str:
        """The setting's name in displays."""
        return f"{self.dataset} → {self.backbone}, {self.size}"

    @property
    def size(self) -> str:
        """The size of its inputs as tables show it: `96 px`, or `14 tokens`."""
        return size_text(self.image_size, self.modality)

    @model_serializer(mode="wrap")
    def _stored(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the modality out for images, as older records do."""
        found = serialise(self)
        if self.modality == "image":
            found.pop("modality", None)
        return found


def cell_of(bank: Bank | Manifest | Plan) -> Cell:
    """Return the setting of a bank, built or planned."""
    facts = dict(bank.identity)
    return Cell(bank_digest=facts.pop("digest"), protocol_version=facts.pop("protocol"), **facts)
