"""Text encoders with an exit before the first block and after every block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.backbones.encoders import ENCODERS, Encoder, Sentences
from bench.backbones.placement import EMBEDDINGS, place
from bench.backbones.pooling import Pooling, pooled, pooled_name, pooled_width
from bench.backbones.staged import Options, Origin, StagedBackbone
from bench.backbones.weights import fit_head, seeded
from bench.errors import UserError
from bench.inputs import Modality
from bench.inputs.tokens import PADDING, Tokens
from bench.system.compat import ensure_torchvision

MAX_TOKENS = 128
FEWEST_TOKENS = 8  # room for the special tokens of a pair


class TextOptions(Options, total=False):
    """Additional options of builders of text backbones: `pooling`, and the maximum number of tokens of a text."""

    pooling: Pooling
    max_tokens: int | None


@dataclass(frozen=True)
class TextModel:
    """An encoder, the last layer of its own classifier (if any), and how to open its tokenizer."""

    encoder: Encoder
    head: nn.Linear | None
    tokens: Callable[[int], Tokens]  # from the maximum number of tokens of a text


class StagedText(StagedBackbone):
    """The state is the hidden states of all tokens, and which of them are padding.

    An exit sees the mean of the real tokens, special ones included (`mean`), the first token (`cls`), or both side by
    side, after ModernBERT's final norm. The exit before the first block always sees the mean, because the first token
    is the same for all texts there. A classifier's own last exit sees the output of its own layers before the last.
    """

    modality: ClassVar[Modality] = "text"
    trunk: Encoder
    tokens: Callable[[int], Tokens]

    def preparation(self) -> Tokens:
        """Return the tokenizer. Raises UserError if it is not available."""
        return self.tokens(self.image_size)

    def example(self, size: int, device: str | torch.device = "cpu") -> Tensor:
        return torch.zeros(1, size, 2, dtype=torch.int64, device=device)

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        size, words = self.image_size, self.trunk.model.config.vocab_size
        lengths = torch.randint(FEWEST_TOKENS, size + 1, (count, 1), generator=generator)
        ids = torch.randint(words, (count, size), generator=generator)
        ids = ids.masked_fill(torch.arange(size) >= lengths, PADDING)
        return torch.stack([ids, torch.zeros_like(ids)], 2)

    def start(self, texts: Tensor) -> Sentences:  # type: ignore[override]
        """Return the state before the first block from tokens [N, T, 2], as `preparation` gives them."""
        return self.trunk.embed(texts)

    def stage(self, k: int, state: Sentences) -> Sentences:  # type: ignore[override]
        for block in self._stages[k]:
            state = self.trunk.run(block, state)
        return state

    def feature(self, k: int, state: Sentences) -> Tensor:  # type: ignore[override]
        if k < len(self.positions) and self.positions[k] == EMBEDDINGS:
            return self.trunk.norm(state).mean
        return super().feature(k, state)  # type: ignore[arg-type]

    def pool(self, state: Sentences) -> Tensor:  # type: ignore[override]
        assert self.pooling is not None
        seen = self.trunk.norm(state)
        return pooled(self.pooling, lambda: seen.cls, lambda: seen.mean)

    def final(self, state: Sentences) -> Tensor:  # type: ignore[override]
        return self.pool(state) if self.trunk.own is None else self.trunk.own(self.trunk.norm(state))


def stage_text(name: str, model: TextModel, origin: Origin, options: TextOptions, *, code: str = "") -> StagedText:
    """Cut an encoder at its blocks. Default exits: before the first block and after every block but the last.

    The encoder's own classifier is kept if it has the requested number of classes.
    """
    encoder, num_classes, pooling = model.encoder, options.get("num_classes"), options.get("pooling") or "mean"
    limit, blocks = _limit(name, encoder, options), encoder.blocks
    if model.head is None or num_classes not in (None, model.head.out_features):
        encoder.own = None
        head, origin = fit_head(None, pooled_width(pooling, encoder.width), num_classes, origin, name)
        origin = Origin(origin.seen)
    else:
        head = model.head
    found = StagedText(
        name=pooled_name(name, None if pooling == "mean" else pooling),
        trunk=encoder,
        blocks=blocks,
        head=head,
        positions=place(options.get("exits"), owner=name, blocks=len(blocks), default="blocks", embeddings=True),
        image_size=limit,
        preprocessing=None,
        origin=origin,
        pooling=pooling,
    )
    found.tokens = model.tokens
    if code:
        found.identify(found.name, code)
    return found


def _limit(name: str, encoder: Encoder, options: TextOptions) -> int:
    """Return the maximum number of tokens: `max_tokens`, or `image_size` (of stored networks), else 128."""
    limit, size = options.get("max_tokens"), options.get("image_size")
    if None not in (limit, size) and limit != size:
        raise UserError(f"max_tokens={limit} and image_size={size} of {name} both limit texts. Keep max_tokens.")
    most = encoder.model.config.max_position_embeddings - encoder.offset
    limit = limit or size or min(MAX_TOKENS, most)
    if not FEWEST_TOKENS <= limit <= most:
        raise UserError(
            f"{name} cannot read texts of {limit} tokens. Give max_tokens from {FEWEST_TOKENS} to {most}: "
            f"{name.partition('[')[0]}[max_tokens={min(most, MAX_TOKENS)}]."
        )
    return limit


def build_encoder(
    settings: Mapping[str, Any], state: Mapping[str, Tensor] | None, *, source: str, classifier: bool = False
) -> tuple[Encoder, nn.Linear | None]:
    """Build the encoder that the settings of a config.json describe; return it and the last layer of its classifier.

    state: the weights, under the names used by `transformers`; None for random ones from a fixed seed.
    Raises UserError for an architecture that is not in `ENCODERS`, for invalid settings, and for weights that do not
    fit. Code in a model's repository is never run.
    """
    kind = str(settings.get("model_type"))
    if kind not in ENCODERS:
        raise UserError(f"'{source}' has the type '{kind}'. Supported text encoders: {', '.join(ENCODERS)}.")
    if "quantization_config" in settings:
        raise UserError(f"The weights of '{source}' are quantised. Give a model with float weights.")
    encoder = ENCODERS[kind]
    ensure_torchvision()
    import transformers

    model_class = getattr(transformers, encoder.prefix + ("ForSequenceClassification" if classifier else "Model"))
    pooler = {} if classifier or not encoder.has_pooler else {"add_pooling_layer": False}
    try:
        config = model_class.config_class.from_dict({k: v for k, v in settings.items() if k not in _NO_SETTINGS})
        config._attn_implementation = encoder.attention
        config.is_decoder = False
        if state is None:
            model = seeded(lambda: model_class(config, **pooler))
        else:
            model = _filled(model_class, config, state, pooler)
    except Exception as error:  # a third-party config.json may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(f"'{source}' cannot be built: {reason}. Download or save it again.") from error
    if not classifier:
        return encoder(model), None
    own, head = encoder.take_head(model)
    return encoder(model.base_model, own), head


_NO_SETTINGS = ("auto_map", "dtype", "torch_dtype", "is_decoder", "add_cross_attention", "transformers_weights")


def _filled(model_class: Any, config: Any, state: Mapping[str, Tensor], pooler: Mapping[str, Any]) -> Any:
    """Return a model with the weights of a state dict; raise ValueError with the first that are missing or unknown.

    Only heads and poolers may be unused. A missing weight is an error, because it would be drawn at random.
    """
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    with _quiet():
        model, info = model_class.from_pretrained(
            None, config=config, state_dict=floats, output_loading_info=True, **pooler
        )
    wrong = [f"{name} is missing" for name in sorted(info["missing_keys"])]
    wrong += [f"{name} is unknown" for name in sorted(info["unexpected_keys"]) if re.search(r"\blayers?\.\d", name)]
    wrong += [f"{found[0]} has another shape" for found in info["mismatched_keys"]]
    if wrong:
        raise ValueError(f"its weights do not fit its config.json: {'; '.join(wrong[:3])}")
    return model.float()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the reports and progress bars of `transformers` in the block: weights are checked here."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def tokenizer_file(folder: Path) -> Path | None:
    """Return the file of a model's tokenizer: tokenizer.json, or the vocab.txt of a BERT."""
    return next((path for name in ("tokenizer.json", "vocab.txt") if (path := folder / name).is_file()), None)
