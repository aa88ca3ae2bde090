"""A text encoder is trained as a network of images is: padded batches, dropout, the same weights after a restart."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench import backbones
from bench.bank.source import Request, Source
from bench.errors import UserError
from bench.finetune import FineTuning, Progress, Wanted, finetune
from bench.finetune.batches import Batches
from bench.finetune.parallel import Group
from bench.finetune.texts import Texts
from tests.helpers import texts
from tests.helpers.words import write_csv

COUNT = 120
CPU = torch.device("cpu")


def write_queries(path):
    """Texts of 2 to 9 words, whose first word decides their class."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(COUNT):
        words = rng.choice(texts.WORDS[6:], rng.integers(1, 9))
        rows.append((" ".join([("card", "bank")[i % 2], *words]), ("lost", "open")[i % 2]))
    return write_csv(path, rows)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """Make what a user asks for: a random BERT of three blocks with dropout, from a folder, for a file of queries."""
    folder = tmp_path_factory.mktemp("text")
    texts.save(folder / "bert", "bert", hidden_dropout_prob=0.3)
    csv = write_queries(folder / "queries.csv")

    def make(**recipe) -> Wanted:
        given = {"epochs": 2, "batch_size": 8, "exits": "joint", "lr": 0.01} | recipe
        return Wanted(f"csv:{csv}", f"hf_text:{folder / 'bert'}[max_tokens=16]", given)

    return make


@pytest.fixture(scope="module")
def trained(wanted, tmp_path_factory):
    """The folder of such a network, whose encoder is gone from where it was."""
    asked = wanted(epochs=7, lr=0.05, trunk_rate=0.2)
    argument = asked.backbone.removeprefix("hf_text:").removesuffix("[max_tokens=16]")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "bert"
    shutil.copytree(argument, elsewhere)
    asked = replace(asked, backbone=f"hf_text:{elsewhere}[max_tokens=16]")
    folder = finetune(asked, tmp_path_factory.mktemp("networks") / "joint")
    shutil.rmtree(elsewhere)
    return folder


def held(**options):
    """Batches of twenty texts of two to eleven tokens; the label of a text is its second token."""
    g = torch.Generator().manual_seed(3)
    tokens = texts.tokens(*torch.randint(3, 12, (20,), generator=g).tolist())
    made = Texts(tokens, tokens[:, 1, 0])
    return Batches(made, FineTuning(**{"batch_size": 6} | options))


def test_an_epoch_shows_texts_once_in_batches_of_similar_length():
    made = held(batch_size=4)
    epochs = [list(made.epoch(e, 0, 0)) for e in (0, 1)]
    lengths = [[(batch[..., 0] >= 0).sum(1) for batch, _ in batches] for batches in epochs]
    for batches, counts in zip(epochs, lengths, strict=True):
        assert sorted(torch.cat(counts).tolist()) == sorted(made.samples.lengths.tolist())
        assert all(batch.shape[1] == count.max() and torch.equal(batch[:, 1, 0], labels)
                   for (batch, labels), count in zip(batches, counts, strict=True))  # fmt: skip
    spread = [float(count.max() - count.min()) for count in lengths[0]]
    assert np.mean(spread) < 3 and [c.tolist() for c in lengths[0]] != [c.tolist() for c in lengths[1]]


def test_a_batch_depends_on_seed_epoch_and_step_alone_and_processes_make_its_parts():
    one, other = held(), held()
    list(other.epoch(0, 0, 0))
    whole, labels = one[1, 2]
    assert torch.equal(whole, other[1, 2][0]) and not torch.equal(labels, held(seed=1)[1, 2][1])
    parts = [Batches(one.samples, one.config, Group(CPU, rank, 2).part)[1, 2] for rank in range(2)]
    assert torch.equal(torch.cat([found for _, found in parts]), labels)
    for (part, _), rows in zip(parts, whole.split(3), strict=True):
        assert torch.equal(part, rows[:, : part.shape[1]]) and (rows[:, part.shape[1] :, 0] == -1).all()


def test_texts_of_a_long_set_are_read_in_blocks(wanted, monkeypatch):
    from bench import datasets
    from bench.finetune import texts as module

    data = datasets.load(wanted().dataset)
    backbone = backbones.load(wanted().backbone, num_classes=2)
    rows = np.arange(3, 40)
    whole = Texts.read(data, rows, backbone, FineTuning())
    monkeypatch.setattr(module, "READ_AT_ONCE", 10)
    blocks = Texts.read(data, rows, backbone, FineTuning())
    assert torch.equal(whole.tokens, blocks.tokens) and torch.equal(whole.labels, blocks.labels)
    assert sorted(whole.labels.tolist()) == sorted(data.labels[rows].tolist())
    assert whole.tokens.shape[1] == whole.lengths.max() and (whole.tokens[..., 1] >= 0).all()


def test_defaults_suit_texts_and_what_is_given_counts():
    plain, text = FineTuning.suited("image", {}), FineTuning.suited("text", {"epochs": 7, "augment": 0})
    assert plain == FineTuning() and plain.augment == 9 and plain.flip
    assert (text.epochs, text.batch_size, text.augment, text.flip) == (7, 32, 0, False)
    assert 2e-5 <= text.lr * text.trunk_rate <= 5.001e-5
    assert FineTuning.suited("text", {}, from_random=True).trunk_rate == 1
    assert FineTuning.suited("image", {"trunk_rate": 0.5}, from_random=True).trunk_rate == 0.5


@pytest.mark.parametrize(("given", "says"), [({"augment": 3}, "--augment: only images"), ({"flip": True}, "--flip")])
def test_augmentation_of_texts_is_refused(wanted, tmp_path, given, says):
    with pytest.raises(UserError, match=says):
        finetune(wanted(**given), tmp_path / "a")


def test_a_backbone_of_images_is_refused(wanted, tmp_path):
    with pytest.raises(UserError, match=r"reads images, and 'csv:queries\.csv' has texts"):
        finetune(replace(wanted(), backbone="cifar_resnet20", weights="random"), tmp_path / "a")


def test_after_an_interruption_the_network_is_the_same_and_dropout_is_on(wanted, tmp_path, monkeypatch):
    modes: list[bool] = []
    plain = torch.nn.Dropout.forward
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: modes.append(self.training) or plain(self, x))
    whole = finetune(wanted(epochs=1), tmp_path / "whole")
    assert True in modes and False in modes  # in training, and on val

    def stop(done, total, value):
        if done == total - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(wanted(epochs=1), tmp_path / "cut", progress=Progress(stop), checkpoint_seconds=0)
    again = finetune(wanted(epochs=1), tmp_path / "cut")
    one, other = (load_file(folder / "network.safetensors") for folder in (whole, again))
    assert one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
    assert sorted(p.name for p in again.iterdir()) == ["model", "network.json", "network.safetensors", "training.png"]


def test_its_folder_is_a_backbone_with_its_own_tokenizer_and_heads(trained, wanted):
    told = json.loads((trained / "network.json").read_text())
    assert "preprocessing" not in told and told["texts"]["train"] > told["texts"]["val"] > 0
    assert min(told["accuracy"][:2]) > 0.8  # of texts whose first word tells
    plan = Source(Request(wanted().dataset, str(trained))).plan
    network = plan.backbone
    assert plan.splits.protocol == "v1" and plan.own_head and plan.native and network.image_size == 16
    assert network.name == told["name"] and len(network.native) == network.num_exits - 1
    batch = network.preparation().batch(["card lost", "bank a new money"])
    with torch.no_grad():
        answers = network.native[1](network.features(batch)[1])
    assert batch.shape == (2, 6, 2) and answers.argmax(1).tolist() == [0, 1]
    with pytest.raises(UserError, match="reads texts, and 'digits' has images"):
        Source(Request("digits", str(trained))).plan  # noqa: B018


def test_a_second_stage_starts_from_the_folder_alone(trained, wanted, tmp_path):
    asked = replace(wanted(exits="frozen", epochs=1), backbone=str(trained))
    folder = finetune(asked, tmp_path / "frozen")
    before, after = (backbones.load(str(path)) for path in (trained, folder))
    assert all(torch.equal(value, after.trunk.state_dict()[name]) for name, value in before.trunk.state_dict().items())
    assert (folder / "model" / "tokenizer.json").read_bytes() == (trained / "model" / "tokenizer.json").read_bytes()


def test_policies_on_native_heads_execute_as_simulated(trained, wanted, bench):
    words = ["run", "--dataset", wanted().dataset, "--backbone", trained, "--methods", "entropy_thresh[heads=native]"]
    words += ["--seeds", "0", "--budgets", "0.6,1", "--threads", "1", "-o", "runs", "--bank-dir", "banks"]
    done = bench(*words, "--verify-executed", "16", "--dtype", "float32", "--no-report")
    assert done.returncode == 0, done.stderr
    executed = [line for line in done.stdout.splitlines() if line.startswith("Executed")]
    assert executed and all("on 16 texts" in line for line in executed)


@pytest.mark.slow
def test_two_devices_train_the_network_of_one(wanted, tmp_path, tmp_path_factory):
    encoder = tmp_path_factory.mktemp("still") / "bert"
    texts.save(encoder, "bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    asked = replace(wanted(optimiser="sgd", lr=0.05), backbone=f"hf_text:{encoder}[max_tokens=16]")
    alone, two = finetune(asked, tmp_path / "one"), finetune(asked, tmp_path / "two", devices=2)
    one, other = (load_file(path / "network.safetensors") for path in (alone, two))
    for name, value in one.items():
        torch.testing.assert_close(other[name].float(), value.float(), rtol=2e-2, atol=2e-3)
