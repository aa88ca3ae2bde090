"""Text encoders of every architecture: what their exits see is what `transformers` computes, padded or not."""

import pytest

pytest.importorskip("transformers", reason="needs the extra exitbench[text]")

import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from bench import backbones
from bench.costs import backbone_macs
from bench.errors import UserError
from bench.inference import execute, simulate
from bench.method import ExitData, Policy
from tests.helpers import texts
from tests.helpers.texts import ARCHITECTURES, TEXTS, tokens

LENGTHS = (9, 3, 14, 6)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def encoder(request, tmp_path_factory):
    """A folder, the model of `transformers` in it, and the backbone."""
    folder = tmp_path_factory.mktemp(request.param)
    model = texts.save(folder, request.param)
    return folder, model, backbones.load(f"hf_text:{folder}", num_classes=3)


@torch.no_grad()
def reference(model, batch):
    """What `transformers` gives: the hidden states before and after every block [B, T, D]."""
    real = batch[..., 0] >= 0
    ids = torch.where(real, batch[..., 0], model.config.pad_token_id)
    segments = {"token_type_ids": batch[..., 1]} if getattr(model.config, "type_vocab_size", 1) > 1 else {}
    return model(input_ids=ids, attention_mask=real.long(), output_hidden_states=True, **segments)


@torch.no_grad()
def states(backbone, batch):
    """The state at every exit."""
    state, found = backbone.start(batch), []
    for k in range(backbone.num_exits):
        state = backbone.stage(k, state)
        found.append(state)
    return found


@pytest.mark.parametrize("lengths", [LENGTHS, (12, 12)], ids=["padded", "unpadded"])
@pytest.mark.parametrize("segments", [False, True])
def test_states_are_the_hidden_states_of_transformers(encoder, lengths, segments):
    _, model, backbone = encoder
    batch = tokens(*lengths, segments=segments)
    expected, found = reference(model, batch).hidden_states, states(backbone, batch)
    assert len(found) == len(expected) == backbone.num_exits == len(backbone.trunk.blocks) + 1
    for k, (state, hidden) in enumerate(zip(found, expected, strict=True)):
        if k == len(expected) - 1:
            state = backbone.trunk.norm(state)  # what `transformers` returns last
        assert torch.equal(state.real, batch[..., 0] >= 0)
        assert hidden.std() > 0.1
        assert_close(state.hidden[state.real], hidden[state.real], rtol=1e-5, atol=1e-5)
        assert state.hidden.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
def test_exits_see_real_tokens_alone(encoder, pooling):
    folder, _, default = encoder
    backbone = backbones.load(f"hf_text:{folder}[pooling={pooling}]", num_classes=3)
    batch = tokens(*LENGTHS)
    found = backbone.features(batch)
    for k, (features, state) in enumerate(zip(found, states(default, batch), strict=True)):
        hidden = default.trunk.norm(state).hidden
        mean = torch.stack([hidden[i, :n].mean(0) for i, n in enumerate(LENGTHS)])
        parts = {"mean": mean, "cls": hidden[:, 0], "both": torch.cat([hidden[:, 0], mean], 1)}
        assert_close(features, mean if k == 0 else parts[pooling])  # the first token of all texts is the same
    assert backbone.feature_dims == (32, *[64 if pooling == "both" else 32] * (len(found) - 2))
    assert backbone.head.in_features == backbone.final_dim == found[-1].shape[1]
    assert (backbone.name == default.name) == (pooling == "mean") and backbone.exit_names[0] == "embeddings"


@torch.no_grad()
def test_a_batch_of_mixed_lengths_equals_its_texts_one_by_one(encoder):
    backbone = encoder[2]
    batch = tokens(*LENGTHS)
    alone = [backbone.features(batch[i : i + 1, :n]) for i, n in enumerate(LENGTHS)]
    for k, features in enumerate(backbone.features(batch)):
        assert_close(features, torch.cat([one[k] for one in alone]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_half_precision_comes_close(encoder):
    backbone, batch = encoder[2], tokens(*LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = backbone.features(batch)
    for a, b in zip(backbone.features(batch), rounded, strict=True):
        assert b.isfinite().all() and (a - b.float()).abs().mean() < 0.05 * a.abs().mean()


class Thresholds(Policy):
    """Heads are the features' first three values, the first of which decides."""

    def head(self, k, features, previous):
        return features[:, :3]

    def leave(self, k, logits):
        return logits[:, k, 0] > self.thresholds[k]

    def macs(self, k):
        return 0


def test_stopping_early_for_real_on_padded_batches_is_what_was_simulated(encoder):
    backbone = encoder[2]
    batch = tokens(*[3 + i % 12 for i in range(40)])
    with torch.no_grad():
        features, logits = backbone.exits(batch)
    labels, macs = torch.zeros(40, dtype=torch.int64), backbone_macs(backbone, 10)
    data = ExitData(tuple(features), logits, labels)
    policy = Thresholds()
    policy.thresholds = [float(f[:, 0].quantile(0.6)) for f in features]
    simulated, executed = simulate(policy, data, macs), execute(policy, backbone, batch, labels, macs)
    assert torch.equal(simulated.exit_index, executed.exit_index) and len(simulated.exit_index.unique()) >= 3
    assert_close(simulated.logits, executed.logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_stage_leaves_its_input_as_it_was(encoder):
    backbone = encoder[2]
    state = backbone.start(tokens(*LENGTHS))
    for k in range(backbone.num_exits):
        before = state.hidden.clone()
        after = backbone.stage(k, state)
        backbone.feature(k, after)
        assert torch.equal(state.hidden, before)
        state = after


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_classifiers_own_head_is_the_last_exit(architecture, tmp_path):
    model = texts.save(tmp_path, architecture, classes=5)
    batch = tokens(*LENGTHS)
    name = f"hf_text:{tmp_path}[pooling=both,seen=sst2,head_for=sst2]"
    backbone = backbones.load(name)
    with torch.no_grad():
        assert_close(backbone.exits(batch)[1], reference(model, batch).logits, rtol=1e-5, atol=1e-5)
    assert (backbone.seen, backbone.head_for, backbone.num_classes) == ({"sst2"}, "sst2", 5)
    assert set(backbone.feature_dims[1:]) == {64} and backbone.final_dim == 32
    other = backbones.load(name, num_classes=3)
    assert (other.seen, other.head_for, other.final_dim, other.trunk.own) == ({"sst2"}, None, 64, None)
    with pytest.raises(UserError, match="does not say what it was trained on"):
        backbones.load(f"hf_text:{tmp_path}")


def test_costs_are_those_of_the_blocks(encoder):
    folder, model, backbone = encoder
    macs, config, n = backbone_macs(backbone, 10), model.config, 10
    width, hidden = 32, getattr(config, "intermediate_size", 48)
    if "modernbert" in str(type(model)).lower():
        block = n * (4 * width**2 + 3 * width * hidden) + 2 * n**2 * width
    else:
        block = n * (4 * width**2 + 2 * width * hidden) + 2 * n**2 * width
    widening = n * 16 * width if "albert" in str(type(model)).lower() else 0  # of ALBERT's embeddings
    first = macs[0]
    assert widening <= first < widening + n * width  # some versions multiply to get ModernBERT's rotations
    assert macs == (*(first + k * block for k in range(len(macs) - 1)), first + (len(macs) - 1) * block + 32 * 3)
    assert backbone_macs(backbones.load(f"hf_text:{folder}[exits=0]", num_classes=3), n)[-1] == macs[-1]


def test_exits_sit_where_they_are_asked_for(tmp_path):
    texts.save(tmp_path, "bert")
    assert backbones.load(f"hf_text:{tmp_path}", num_classes=3).positions == (-1, 0, 1)
    assert backbones.load(f"hf_text:{tmp_path}[exits=blocks]", num_classes=3).positions == (-1, 0, 1)
    few = backbones.load(f"hf_text:{tmp_path}", num_classes=3, exits="-1,1")
    assert few.positions == (-1, 1) and few.exit_names == ("embeddings", "block 1", "head")
    assert backbones.load(f"hf_text:{tmp_path}[exits=every=2]", num_classes=3).positions == (1,)
    with pytest.raises(UserError, match=r"indices from -1 \(the embeddings\) to 1"):
        backbones.load(f"hf_text:{tmp_path}", num_classes=3, exits="stages")


def test_identity_follows_weights_and_what_decides_how_they_are_used(tmp_path):
    def digest(**settings):
        texts.save(tmp_path, "bert", **settings)
        return backbones.load(f"hf_text:{tmp_path}", num_classes=3).weights_digest

    first = digest()
    assert digest(id2label={0: "a", 1: "b"}) == first
    assert digest(layer_norm_eps=1e-3) != first  # the weights are the same
    texts.save(tmp_path, "bert")
    state = load_file(tmp_path / "model.safetensors")
    state["encoder.layer.2.output.dense.bias"][0] += 1e-6
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    assert backbones.load(f"hf_text:{tmp_path}", num_classes=3).weights_digest != first


def test_texts_are_cut_at_the_limit_of_the_backbone(tmp_path):
    texts.save(tmp_path, "roberta")
    with pytest.raises(UserError, match=r"texts of 128 tokens. Give max_tokens from 8 to 40: hf_text:.*max_tokens=40"):
        backbones.load(f"hf_text:{tmp_path}[max_tokens=128]", num_classes=3)
    assert backbones.load(f"hf_text:{tmp_path}", num_classes=3).image_size == 40
    backbone = backbones.load(f"hf_text:{tmp_path}[max_tokens=8]", num_classes=3)
    assert backbone.image_size == 8 and backbone.preparation().lengths(TEXTS).tolist() == [6, 6, 3, 8, 5]
    assert backbones.load(f"hf_text:{tmp_path}", num_classes=3, image_size=9).image_size == 9
    with pytest.raises(UserError, match="Keep max_tokens"):
        backbones.load(f"hf_text:{tmp_path}[max_tokens=8]", num_classes=3, image_size=9)
