"""The networks beside published records: each is whole, small, named after its folder, and answers."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from bench import backbones
from tests.helpers.paths import ROOT

FOLDERS = sorted(ROOT.glob("results/*/*/network"))
LARGEST = 10_000_000  # bytes of a file


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_a_published_network_is_whole_and_answers(folder):
    told = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    assert (folder.parent.parent.name, folder.parent.name) == (told["dataset"], told["name"])
    assert told["limit"] is None and told["protocol"] == "v1"
    assert hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest() == told["sha256"]
    assert all(path.stat().st_size <= LARGEST for path in folder.iterdir())
    classes, size = len(told["class_names"]), told["image_size"]
    network = backbones.load(str(folder))
    joint = told["recipe"]["exits"] != "none"
    assert (network.name, network.image_size, network.num_classes) == (told["name"], size, classes)
    assert len(network.native) == (network.num_exits - 1 if joint else 0)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answers = network(images)
    assert answers.shape == (2, classes) and bool(answers.isfinite().all())


def test_the_page_on_networks_has_their_numbers():
    rows = []
    for folder in FOLDERS:
        told = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        history, images = told["history"], told["images"]["train"]
        speed = images * len(history) / sum(images / epoch["samples_per_second"] for epoch in history)
        accuracy = ", ".join(f"{share:.1%}".rstrip("%") for share in told["accuracy"])
        rows.append(f"| {told['name']} | {len(history)} | {speed:.0f} | {accuracy} |")
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line in rows] == sorted(rows) != []
