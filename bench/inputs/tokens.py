"""From texts to token ids: a backbone's own tokenizer, truncated at the backbone's limit, padded on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError
from bench.system.files import read_regular

PADDING = -1
NEEDED = ("tokenizers", "transformers")
REMEDY = "Install the text extra: python -m pip install 'exitbench[text]'."
MOST_BYTES = 1 << 28  # of a tokenizer's file
_AT_ONCE = 4096  # texts per call of the tokenizer


def check_installed(owner: str) -> None:
    """Raise UserError if a package that text needs is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(f"{owner} needs {' and '.join(missing)}. {REMEDY}")


@dataclass(frozen=True)
class Tokens:
    """How texts are prepared for a backbone."""

    size: int  # maximum tokens, special ones included; longer texts are truncated on the right
    digest: str  # of the tokenizer's file
    tokenizer: Any = field(repr=False, compare=False)  # tokenizers.Tokenizer

    @classmethod
    def read(cls, path: Path, size: int, *, lowercase: bool = True) -> Tokens:
        """Read a tokenizer.json, or a BERT's vocab.txt, with texts converted to lower case if `lowercase`.

        Raises UserError for a file that cannot be read, and if the package `tokenizers` is missing.
        """
        check_installed(f"'{path.name}'")
        from tokenizers import Tokenizer

        words = path.suffix == ".txt"
        try:
            content = read_regular(path, MOST_BYTES)
            text = content.decode()
            tokenizer = Tokenizer.from_str(_word_pieces(text, lowercase) if words else text)
            tokenizer.no_padding()
            tokenizer.enable_truncation(size)
        except Exception as error:  # the library raises bare exceptions
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise UserError(f"'{path}' cannot be read as a tokenizer: {reason}. Download or save it again.") from error
        return cls(size, sha256(content + (b"|lowercase" if words and lowercase else b"")).hexdigest(), tokenizer)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokens:
        """Return itself: it never changes, and copying a vocabulary is slow."""
        return self

    def describe(self, views: int = 0) -> dict[str, Any]:
        """Return everything that determines token ids; texts have no augmented views."""
        if views:
            raise UserError(f"Texts have no augmented views, but --views is {views}. Leave it out.")
        return {"tokenizer": self.digest, "max_tokens": self.size, "padding": "right"}

    def lengths(self, texts: Sequence[str | tuple[str, str]]) -> np.ndarray:
        """Count the tokens of texts: int64 [N], special tokens included, up to the limit, without padding."""
        return np.array([len(found.ids) for found in self._encoded(texts)], dtype=np.int64)

    def batch(self, inputs: Sequence[str | tuple[str, str]], keys: np.ndarray | None = None, view: int = 0) -> Tensor:
        """Return int64 [B, T, 2] for texts or pairs of texts: token id (-1 is padding, on the right) and segment.

        T is the length of the longest. Keys are not used. Raises UserError for a text without tokens.
        """
        if view:
            raise UserError("Texts have no augmented views. Leave --views out.")
        found = list(self._encoded(inputs))
        batch = np.zeros((len(found), max((len(one.ids) for one in found), default=1), 2), dtype=np.int64)
        batch[..., 0] = PADDING
        for row, one in enumerate(found):
            if not one.ids:
                raise UserError(f"The text {inputs[row]!r} has no tokens. Remove it from the dataset.")
            batch[row, : len(one.ids)] = np.stack([one.ids, one.type_ids], 1)
        return torch.from_numpy(batch)

    def _encoded(self, texts: Sequence[str | tuple[str, str]]) -> Iterator[Any]:
        for start, stop in pairwise([*range(0, len(texts), _AT_ONCE), len(texts)]):
            yield from self.tokenizer.encode_batch_fast(list(texts[start:stop]))


def _word_pieces(vocabulary: str, lowercase: bool) -> str:
    """Return the tokenizer of a BERT as JSON, from its vocabulary with one token a line."""
    from tokenizers.implementations import BertWordPieceTokenizer

    lines = vocabulary.replace("\r\n", "\n").removesuffix("\n").split("\n")  # a token may be another line break
    ids = {token: i for i, token in enumerate(lines)}
    return BertWordPieceTokenizer(ids, lowercase=lowercase).to_str()
