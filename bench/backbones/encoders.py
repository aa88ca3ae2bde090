"""Cut encoders of `transformers`: embeddings, blocks and own heads of each architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.backbones.pooling import Pooling


@dataclass(frozen=True, eq=False)
class Sentences:
    """Hidden states of B texts between two blocks."""

    hidden: Tensor  # [B, T, D]
    real: Tensor  # bool [B, T]: which tokens are not padding
    shared: dict[str, Tensor] = field(default_factory=dict)  # what blocks use for all texts: depends on positions only

    def __len__(self) -> int:
        """Return B."""
        return len(self.hidden)

    def __getitem__(self, rows: slice | Tensor) -> Sentences:
        """Return the state of some texts: a slice, a boolean mask or indices, as for a tensor."""
        return replace(self, hidden=self.hidden[rows], real=self.real[rows])

    def map(self, function: Callable[[Tensor], Tensor]) -> Sentences:
        """Return the state with a function applied to the hidden states."""
        return replace(self, hidden=function(self.hidden))

    @property
    def mean(self) -> Tensor:
        """The mean of the real tokens [B, D]."""
        weight = self.real[..., None].to(self.hidden.dtype)
        return (self.hidden * weight).sum(1) / weight.sum(1)

    @property
    def cls(self) -> Tensor:
        """The first token [B, D]."""
        return self.hidden[:, 0]


class OwnHead(nn.Module):
    """The layers of a `transformers` classifier between the hidden states and its last layer."""

    def __init__(self, *layers: nn.Module, pooling: Pooling = "cls") -> None:
        super().__init__()
        self.layers, self.pooling = nn.Sequential(*layers), pooling

    def forward(self, state: Sentences) -> Tensor:
        """Return what the last layer sees [B, D]."""
        return self.layers(state.cls if self.pooling == "cls" else state.mean)


class Encoder(nn.Module):
    """An encoder without its pooler, in the parts that stages need: `embed`, `blocks`, `run`, `norm`.

    This class cuts BERT and RoBERTa; one for another architecture overrides what differs.
    """

    prefix: ClassVar[str] = "Bert"  # of its class names in `transformers`
    has_pooler: ClassVar[bool] = True
    attention: ClassVar[str] = "sdpa"
    offset: ClassVar[int] = 0  # position ids before that of the first token

    def __init__(self, model: Any, own: OwnHead | None = None) -> None:
        super().__init__()
        self.model, self.own = model, own
        self.padding = model.config.pad_token_id or 0
        self.segmented = (getattr(model.config, "type_vocab_size", None) or 0) > 1

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks in the order in which they run; one may run several times."""
        return list(self.model.encoder.layer)

    @property
    def width(self) -> int:
        """D of the hidden states."""
        return self.model.config.hidden_size

    def embed(self, tokens: Tensor) -> Sentences:
        """Return the state before the first block from token ids and segments [B, T, 2]; id -1 is padding."""
        real = tokens[..., 0] >= 0
        ids = torch.where(real, tokens[..., 0], self.padding)
        hidden = self.looked_up(ids, {"token_type_ids": tokens[..., 1]} if self.segmented else {})
        return Sentences(hidden, real, self.shared(hidden))

    def looked_up(self, ids: Tensor, segments: dict[str, Tensor]) -> Tensor:
        """Return the embeddings [B, T, D]."""
        return self.model.embeddings(input_ids=ids, **segments)

    def shared(self, hidden: Tensor) -> dict[str, Tensor]:
        """Return what blocks use for all texts: it depends on positions only."""
        return {}

    def run(self, block: Any, state: Sentences) -> Sentences:
        """Return the state after a block."""
        found = block(state.hidden, **self.inputs(block, state))
        return replace(state, hidden=found[0] if isinstance(found, tuple) else found)

    def inputs(self, block: Any, state: Sentences) -> dict[str, Any]:
        """Return the inputs of a block besides the hidden states."""
        return {"attention_mask": state.real[:, None, None, :]}

    def norm(self, state: Sentences) -> Sentences:
        """Return the state as exits see it: after the shared final norm, if there is one."""
        return state

    @staticmethod
    def take_head(classifier: Any) -> tuple[OwnHead, nn.Linear]:
        """Return what precedes the last layer of a classifier, and that layer."""
        pooler = classifier.base_model.pooler
        return OwnHead(pooler.dense, pooler.activation), classifier.classifier


class Roberta(Encoder):
    """RoBERTa: positions begin after the padding index, and the head has an additional layer."""

    prefix, offset = "Roberta", 2

    @staticmethod
    def take_head(classifier: Any) -> tuple[OwnHead, nn.Linear]:
        head = classifier.classifier
        return OwnHead(head.dense, nn.Tanh()), head.out_proj


class DistilBert(Encoder):
    """DistilBERT: no segments."""

    prefix, has_pooler = "DistilBert", False

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.model.transformer.layer)

    @staticmethod
    def take_head(classifier: Any) -> tuple[OwnHead, nn.Linear]:
        return OwnHead(classifier.pre_classifier, nn.ReLU()), classifier.classifier


class Albert(Encoder):
    """ALBERT: narrow embeddings that a layer projects to the width, and blocks that run several times."""

    prefix = "Albert"

    @property
    def blocks(self) -> list[nn.Module]:
        encoder, config = self.model.encoder, self.model.config
        repeats = config.num_hidden_layers / config.num_hidden_groups
        return [encoder.albert_layer_groups[int(i / repeats)] for i in range(config.num_hidden_layers)]

    def looked_up(self, ids: Tensor, segments: dict[str, Tensor]) -> Tensor:
        return self.model.encoder.embedding_hidden_mapping_in(super().looked_up(ids, segments))

    @staticmethod
    def take_head(classifier: Any) -> tuple[OwnHead, nn.Linear]:
        return OwnHead(classifier.base_model.pooler, nn.Tanh()), classifier.classifier


class MPNet(Roberta):
    """MPNet: all blocks share a relative position bias in attention."""

    prefix, attention = "MPNet", "eager"

    def shared(self, hidden: Tensor) -> dict[str, Tensor]:
        return {"bias": self.model.encoder.compute_position_bias(hidden[:1])}

    def inputs(self, block: Any, state: Sentences) -> dict[str, Any]:
        hidden = state.hidden
        mask = torch.zeros_like(state.real, dtype=hidden.dtype).masked_fill(~state.real, torch.finfo(hidden.dtype).min)
        return {"attention_mask": mask[:, None, None, :], "position_bias": state.shared["bias"]}


class ModernBert(Encoder):
    """ModernBERT: rotary positions, sliding-window attention in some blocks, and a final norm that all exits share."""

    prefix, has_pooler = "ModernBert", False

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.model.layers)

    def shared(self, hidden: Tensor) -> dict[str, Tensor]:
        places = torch.arange(hidden.shape[1], device=hidden.device)
        found = {"near": (places[:, None] - places).abs() <= self.model.config.sliding_window}
        found["same"] = places[:, None] == places
        for kind in sorted(set(self.model.config.layer_types)):
            found[f"{kind} cos"], found[f"{kind} sin"] = self.model.rotary_emb(hidden[:1], places[None], kind)
        return found

    def inputs(self, block: Any, state: Sentences) -> dict[str, Any]:
        shared, kind = state.shared, block.attention_type
        mask = state.real[:, None, None, :]
        if kind == "sliding_attention":  # padding attends to itself at least: an empty row would be NaN
            mask = (mask & shared["near"]) | shared["same"]
        return {"attention_mask": mask, "position_embeddings": (shared[f"{kind} cos"], shared[f"{kind} sin"])}

    def norm(self, state: Sentences) -> Sentences:
        return replace(state, hidden=self.model.final_norm(state.hidden))

    @staticmethod
    def take_head(classifier: Any) -> tuple[OwnHead, nn.Linear]:
        return OwnHead(classifier.head, pooling=classifier.config.classifier_pooling), classifier.classifier


ENCODERS: dict[str, type[Encoder]] = {
    "bert": Encoder,
    "roberta": Roberta,
    "distilbert": DistilBert,
    "albert": Albert,
    "mpnet": MPNet,
    "modernbert": ModernBert,
}
