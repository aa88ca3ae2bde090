"""Texts become token ids: of the backbone's tokenizer, cut at its limit, padded on the right with -1."""

import json

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="needs the extra exitbench[text]")

from bench.errors import UserError
from bench.inputs.tokens import Tokens
from tests.helpers.texts import SPECIAL, TEXTS, WORDS, tokenizer

IDS = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}


@pytest.fixture
def path(tmp_path):
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_a_batch_holds_ids_and_segments_and_is_as_long_as_its_longest(path):
    tokens = Tokens.read(path, 20)
    batch = tokens.batch(["my card", ("my", "new card"), "where is the bank"])
    my, new, card = IDS["my"], IDS["new"], IDS["card"]
    assert batch[:, :, 0].tolist() == [
        [0, my, card, 2, -1, -1],
        [0, my, 2, new, card, 2],
        [0, IDS["where"], IDS["is"], IDS["the"], IDS["bank"], 2],
    ]
    assert batch[:, :, 1].tolist() == [[0] * 6, [0, 0, 0, 1, 1, 1], [0] * 6]
    assert tokens.batch([]).shape == (0, 1, 2)


def test_what_is_longer_than_the_limit_is_cut_and_counted_as_cut(path):
    tokens = Tokens.read(path, 8)
    pair = ("how do i pay my", "new card late the money")
    batch = tokens.batch([TEXTS[3], pair])
    assert batch[0, :, 0].tolist() == [0, *(IDS[word] for word in TEXTS[3].split()[:6]), 2]
    assert batch.shape == (2, 8, 2) and (batch[1, :, 0] == 2).sum() == 2 and batch[1, -1, 1] == 1
    assert tokens.lengths([*TEXTS, pair]).tolist() == [6, 6, 3, 8, 5, 8]
    assert Tokens.read(path, 30).lengths([TEXTS[3]]).tolist() == [12]


def test_many_texts_are_taken_in_parts(path, monkeypatch):
    tokens = Tokens.read(path, 20)
    whole, lengths = tokens.batch(TEXTS), tokens.lengths(TEXTS)
    monkeypatch.setattr("bench.inputs.tokens._AT_ONCE", 2)
    assert (tokens.batch(TEXTS) == whole).all() and np.array_equal(tokens.lengths(TEXTS), lengths)


def test_the_description_names_what_decides_ids(path):
    tokens = Tokens.read(path, 20)
    assert tokens.describe() == {"tokenizer": tokens.digest, "max_tokens": 20, "padding": "right"}
    assert Tokens.read(path, 19).describe() != tokens.describe()
    path.write_text(path.read_text().replace('"card"', '"cart"'))
    assert Tokens.read(path, 20).digest != tokens.digest
    with pytest.raises(UserError, match="no augmented views"):
        tokens.describe(views=1)
    with pytest.raises(UserError, match="no augmented views"):
        tokens.batch(TEXTS, view=1)


def test_a_vocabulary_of_bert_is_a_tokenizer(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "##s", "Card", "\u2028"]).encode())
    lower, cased = Tokens.read(path, 9), Tokens.read(path, 9, lowercase=False)
    assert lower.batch(["Cards card"])[0, :, 0].tolist() == [2, 4, 5, 4, 3]
    assert cased.batch(["Cards card"])[0, :, 0].tolist() == [2, 6, 5, 4, 3]
    assert lower.batch([("card", "card")])[0].tolist() == [[2, 0], [4, 0], [3, 0], [4, 1], [3, 1]]
    assert lower.digest != cased.digest


def test_a_text_without_tokens_is_named(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"post_processor": None}))
    with pytest.raises(UserError, match="The text ' ' has no tokens"):
        Tokens.read(path, 9).batch(["card", " "])


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"version": "1.0", "model": {"type": "none"}}', "\x00"])
def test_a_damaged_file_is_a_sentence(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=r"cannot be read as a tokenizer: .*Download or save it again"):
        Tokens.read(tmp_path / "tokenizer.json", 9)


def test_a_missing_extra_is_named_with_its_command(path, monkeypatch):
    monkeypatch.setattr("bench.inputs.tokens.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs tokenizers and transformers\. .*pip install 'exitbench\[text\]'"):
        Tokens.read(path, 9)
