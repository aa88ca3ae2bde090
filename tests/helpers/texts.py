"""Small text encoders of every architecture, drawn at random and saved as `transformers` saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from bench.system.compat import ensure_torchvision

ARCHITECTURES = ("bert", "roberta", "distilbert", "albert", "mpnet", "modernbert")
PREFIX = dict(zip(ARCHITECTURES, ("Bert", "Roberta", "DistilBert", "Albert", "MPNet", "ModernBert"), strict=True))
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # in the order of RoBERTa, which all take here
WORDS = ["a", "the", "my", "i", "card", "bank", "money", "how", "where", "is", "do", "pay", "lost", "new", "late"]
TEXTS = ["my card is lost", "where is the bank", "pay", "how do i pay my new card late the money", "a new bank"]
_SHAPE = {"vocab_size": 24, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "pad_token_id": 1}
_SHAPES: dict[str, dict[str, Any]] = {
    "bert": {**_SHAPE, "num_hidden_layers": 3, "max_position_embeddings": 40},
    "roberta": {**_SHAPE, "num_hidden_layers": 2, "max_position_embeddings": 42, "type_vocab_size": 1},
    "distilbert": {
        **{"vocab_size": 24, "dim": 32, "n_heads": 4, "hidden_dim": 48, "pad_token_id": 1},
        **{"n_layers": 3, "max_position_embeddings": 40},
    },
    "albert": {
        **_SHAPE,
        **{"embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2, "max_position_embeddings": 40},
    },
    "mpnet": {**_SHAPE, "num_hidden_layers": 2, "max_position_embeddings": 42},
    "modernbert": {
        **_SHAPE,
        **{"num_hidden_layers": 4, "max_position_embeddings": 40, "local_attention": 6},  # narrower than the texts
        **{"bos_token_id": 0, "cls_token_id": 0, "eos_token_id": 2, "sep_token_id": 2},
    },
}


def tokenizer() -> Tokenizer:
    """A tokenizer of whole words, with special tokens at both ends and segments for pairs."""
    words = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    found = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    found.enable_padding(length=30)  # which a backbone must switch off
    return found


def save(folder: Path, architecture: str, *, classes: int | None = None, **settings: Any) -> Any:
    """Save a random encoder, or a classifier of so many classes, into a folder; return it."""
    ensure_torchvision()
    import transformers

    kind = PREFIX[architecture] + ("Model" if classes is None else "ForSequenceClassification")
    model_class = getattr(transformers, kind)
    config = model_class.config_class(**_SHAPES[architecture] | settings | ({"num_labels": classes} if classes else {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config).eval()
        for name, parameter in model.named_parameters():
            if not name.endswith("norm.weight"):
                torch.nn.init.normal_(parameter, std=0.3)  # larger than usual, so that nothing is near zero
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return model


def tokens(*lengths: int, segments: bool = False, seed: int = 0) -> torch.Tensor:
    """Random texts of so many tokens, [len(lengths), max(lengths), 2], padded on the right."""
    g = torch.Generator().manual_seed(seed)
    batch = torch.zeros(len(lengths), max(lengths), 2, dtype=torch.int64)
    batch[..., 0] = torch.randint(4, 20, batch.shape[:2], generator=g)
    for row, length in enumerate(lengths):
        batch[row, 0, 0], batch[row, length - 1, 0] = 0, 2
        batch[row, length:, 0] = -1
        if segments:
            batch[row, length // 2 : length, 1] = 1
    return batch
