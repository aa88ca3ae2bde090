"""What a loaded policy does with raw images, and what it says of folders that are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench import load_policy
from bench.bank.manifest import digest_of
from bench.errors import UserError
from bench.export import folder as files
from bench.inference import simulate
from bench.trials.splits import load_splits


@pytest.fixture(scope="module")
def policy(exported):
    return load_policy(exported)


@pytest.fixture(scope="module")
def images(digits, small_bank):
    """The first test images of the bank, in its order."""
    read = digits[1]
    rows = small_bank.rows("test")[:120]
    order = np.argsort(rows)
    found = read(rows)
    return [found[int(i)] for i in np.argsort(order)]


def test_it_decides_as_simulated_on_the_bank(policy, images, small_bank):
    data = load_splits(small_bank, 0, "cpu").test
    known = simulate(policy.policy, data, policy.contents.macs)
    predictions, exits = policy(images)
    assert predictions.dtype == exits.dtype == torch.int64 and len(predictions) == len(exits) == 120
    assert (exits == known.exit_index[:120]).double().mean() > 0.98  # the bank is stored in half precision
    assert (predictions == known.logits[:120].argmax(-1)).double().mean() > 0.98
    assert len(exits.unique()) > 1


def test_neither_batch_size_nor_the_kind_of_image_matters(policy, images):
    predictions, exits = policy(images)
    for same, size in (
        ([Image.fromarray(image) for image in images], 7),
        (np.stack(images), 64),
        (torch.from_numpy(np.stack(images)), 1),
        ((image for image in images), 500),
    ):
        again = policy(same, batch_size=size)
        assert torch.equal(again[0], predictions) and torch.equal(again[1], exits)


def test_images_may_have_any_size_and_mode(policy, images):
    large = [Image.fromarray(image).resize((41, 53)) for image in images[:4]]
    found = policy(
        [*large, images[0], Image.fromarray(images[1]).convert("L"), np.pad(images[2], ((0, 0), (5, 5), (0, 0)))]
    )
    assert len(found[0]) == 7 and int(found[0][6]) == int(policy(images[2:3])[0][0])
    assert [len(part) for part in policy([])] == [0, 0]


@pytest.mark.parametrize(
    "bad", [np.zeros((8, 8, 3), np.uint8), [np.zeros((8, 8, 3))], [np.zeros((8, 8), np.uint8)], 5, "x", ["x"], [None]]
)
def test_anything_else_is_refused_in_a_sentence(policy, bad):
    with pytest.raises(UserError, match=r"\[N, H, W, 3\]|\[H, W, 3\]"):
        policy(bad)
    with pytest.raises(UserError, match="batch size"):
        policy([], batch_size=0)


def test_it_knows_its_classes_and_costs(policy, small_bank):
    assert policy.classes == tuple("0123456789") and policy.exit_names == ("block 2", "block 5", "head")
    assert list(policy.costs) == sorted(policy.costs) and policy.costs[0] > small_bank.manifest.macs[0]
    assert "msdnet_thresh, budget 0.6, seed 0: digits → cifar_resnet20" in policy.describe()


def test_thresholds_are_readable(exported):
    body = json.loads((exported / files.FILE).read_text(), parse_constant=pytest.fail)
    assert len(body["numbers"]["thresholds"]) == 3 and body["numbers"]["score.function"] == "max_probability"
    assert body["val"]["macs_fraction"] <= 0.6


def changed(folder, change) -> None:
    """Change policy.json as if it had been written so."""
    path = folder / files.FILE
    body = json.loads(path.read_text())
    del body["checksum"]
    change(body)
    path.write_text(json.dumps({**body, "checksum": digest_of(body)}))


def flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def structure(text: str, to: str):
    def change(body: dict) -> None:
        body["structure"] = json.loads(json.dumps(body["structure"]).replace(text, to))

    return change


DAMAGE = {
    "no json": (lambda f: (f / files.FILE).unlink(), "not an exported policy"),
    "no json at all": (lambda f: (f / files.FILE).write_text("{"), "cannot be read"),
    "a list": (lambda f: (f / files.FILE).write_text("[]"), "cannot be read"),
    "deep": (lambda f: (f / files.FILE).write_text("[" * 200_000), "cannot be read"),
    "an edited number": (
        lambda f: (f / files.FILE).write_text((f / files.FILE).read_text().replace('"budget": 0.6', '"budget": 0.7')),
        "was changed after it was written",
    ),
    "no tensors": (lambda f: (f / files.TENSORS).unlink(), "policy.safetensors' cannot be read"),
    "a changed tensor": (lambda f: flip(f / files.TENSORS), "its checksum differs"),
    "a changed backbone": (lambda f: flip(f / files.BACKBONE), "its checksum differs"),
    "a newer format": (
        lambda f: changed(f, lambda b: b.update(format=files.FORMAT + 1, exitbench="9.0")),
        "exitbench 9.0; this version reads format 1",
    ),
    "a wrong type": (lambda f: changed(f, lambda b: b.update(costs="many")), "not valid: costs"),
    "other files": (
        lambda f: changed(f, lambda b: b["files"].update({"../x": b["files"][files.TENSORS]})),
        "files of an",
    ),
    "an unknown class": (
        lambda f: changed(f, structure("ThresholdPolicy", "NoPolicy")),
        "has no attribute 'NoPolicy'",
    ),
    "an unknown plugin": (
        lambda f: changed(f, structure("bench.rules.policies:Thr", "my_plugin:Thr")),
        "'my_plugin' is not loaded",
    ),
    "foreign code": (lambda f: changed(f, structure("bench.rules.scores:max", "os:max")), "'os' is not loaded"),
    "heads alone": (lambda f: changed(f, lambda b: b.update(structure={"list": []})), "cannot be rebuilt"),
    "fewer exits": (lambda f: changed(f, lambda b: b.update(exits=["a"])), "policy.json states 1"),
    "other costs": (lambda f: changed(f, lambda b: b.update(costs=[1, 2, 3])), "at costs"),
    "a bad transform": (lambda f: changed(f, lambda b: b.update(transform={})), "transform"),
    "a huge image": (lambda f: changed(f, lambda b: b["transform"].update(size=10**6)), "transform"),
    "too many classes": (
        lambda f: changed(f, lambda b: b["backbone"].update(num_classes=10**12)),
        "not valid: backbone.num_classes",
    ),
    "another interpolation": (lambda f: changed(f, lambda b: b["transform"].update(interpolation="x")), "transform"),
    "no size": (lambda f: changed(f, lambda b: b["transform"].update(size=0)), "transform|fit together"),
    "another architecture": (lambda f: changed(f, lambda b: b["backbone"].update(spec="cifar_resnet32")), "do not fit"),
    "other exits": (lambda f: changed(f, lambda b: b["backbone"].update(exits="1,5")), "not those that"),
    "a foreign backbone": (
        lambda f: changed(f, lambda b: b["backbone"].update(spec="os:system")),
        "'os:system' is not one of `bench list backbones`",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_ends_in_a_sentence(folder, damage):
    do, says = DAMAGE[damage]
    do(folder)
    with pytest.raises(UserError, match=says):
        load_policy(folder)


def test_no_folder_and_no_device_are_sentences(folder, tmp_path):
    with pytest.raises(UserError, match="not an exported policy"):
        load_policy(tmp_path / "none")
    with pytest.raises(UserError, match="not a device"):
        load_policy(folder, device="abacus")
