"""MiniLM-L6 as it was released, on real sentences: against `transformers`, and by linear probes."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra exitbench[text]")

import pyarrow.parquet as pq
import torch
from torch.testing import assert_close

from bench import backbones
from bench.backbones.minilm import PACKAGE, SHA256
from tests.helpers.paths import SHARED

DATA = SHARED / "data" / "text" / "banking77"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(find_spec(PACKAGE) is None, reason="needs the extra exitbench[text] with its weights"),
    pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared (or EXITBENCH_SHARED) for real sentences"),
]
PROBES = (81.6, 80.4, 82.3, 83.3, 84.2, 89.0)  # % after blocks 1-6: mean of tokens, 20 training queries a class


@pytest.fixture(scope="module")
def backbone():
    return backbones.load("minilm_l6", num_classes=77)


def queries(split):
    table = pq.read_table(DATA / f"{split}-00000-of-00001.parquet")
    return table["text"].to_pylist(), np.array(table["label"].to_pylist())


@torch.no_grad()
def test_hidden_states_of_a_hundred_sentences_are_those_of_transformers(backbone):
    from transformers import BertModel, PreTrainedTokenizerFast

    folder = Path(find_spec(PACKAGE).submodule_search_locations[0]) / "model"
    model = BertModel.from_pretrained(folder, use_safetensors=True).eval()
    split = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    texts = queries("test")[0][:3080:31][:100]
    batch = backbone.preparation().batch(texts)
    told = split(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
    real = batch[..., 0] >= 0
    assert len(SHA256) == 64 and torch.equal(real, told.attention_mask.bool())
    assert torch.equal(batch[real][:, 0], told.input_ids[real])
    hidden = model(**told, output_hidden_states=True).hidden_states
    state = backbone.start(batch)
    for k, expected in enumerate(hidden):
        state = backbone.stage(k, state)
        assert_close(state.hidden[real], expected[real], rtol=1e-5, atol=1e-5)
        assert_close(backbone.feature(k, state)[7], expected[7][real[7]].mean(0), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_linear_probes_are_as_good_as_they_were_measured(backbone):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    texts, labels = queries("train")
    rows = np.concatenate([np.flatnonzero(labels == c)[:20] for c in range(77)])
    test_texts, test_labels = queries("test")
    test_rows = np.arange(0, 3080, 4)
    train, test = (_features(backbone, [t[i] for i in r]) for t, r in ((texts, rows), (test_texts, test_rows)))
    found = []
    for x, y in zip(train, test, strict=True):
        scale = StandardScaler().fit(x)
        probe = LogisticRegression(C=0.1, max_iter=200).fit(scale.transform(x), labels[rows])
        found.append(100 * probe.score(scale.transform(y), test_labels[test_rows]))
    assert np.allclose(found[1:], PROBES, atol=4), found
    assert found[-1] > max(found[:-1]) + 2 and 78 < found[0] < 86


@torch.no_grad()
def _features(backbone, texts):
    order = np.argsort([len(text) for text in texts])  # batches of one length need little padding
    parts = [backbone.features(backbone.preparation().batch([texts[i] for i in p])) for p in np.array_split(order, 40)]
    return [torch.cat(exit_)[torch.from_numpy(np.argsort(order))].numpy() for exit_ in zip(*parts, strict=True)]
