"""The commands that measure and export a policy of a setting again, and what the records lack for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.report.networks import network_folder
from bench.trials.folders import without_paths

METHOD, BUDGET = "{method}", "{budget}"  # where the page puts its choice
IMPORTED = "external"  # the protocol of banks that `bench import` made
FIXED = "v1"  # now only of networks trained on the dataset, and of datasets with a pool of their own
FOLDER = "FOLDER"  # what the reader must replace
PLACE = r"embeddings|block \d+"  # names of intermediate exits


def run_command(cell: Cell, seeds: Sequence[int]) -> str:
    """Return the `bench run` command of one policy; a budget is {budget}, a method {method}, quoted for a shell."""
    chosen = ",".join(map(str, seeds))
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        chosen = f"{seeds[0]}-{seeds[-1]}"
    bank = [f"--dataset {_dataset(cell)}", *_network(cell)]
    if cell.protocol_version == IMPORTED:
        bank = [f"--bank {FOLDER}"]
    parts = ["bench run", *bank, f"--methods {METHOD}", f"--budgets {BUDGET}"]
    return " ".join([*parts, *([f"--seeds {chosen}"] if chosen else [])])


def export_command(cell: Cell, seeds: Sequence[int]) -> str:
    """Return the `bench export` command of one policy, which fits it and writes it to a folder; '' if there is none."""
    if cell.protocol_version == IMPORTED:
        return ""
    seed = [f"--seed {min(seeds)}"] if seeds and 0 not in seeds else []
    return " ".join(["bench export", _dataset(cell), METHOD, BUDGET, *_network(cell), *seed, "-o policy"])


def lacking(cell: Cell) -> list[str]:
    """Return a sentence for everything in the commands that records do not store, so that the reader must replace it.

    Options that change no name (weights, storage) are not included; the bank's digest shows whether they differ.
    """
    if cell.protocol_version == IMPORTED:
        return [
            f"The logits were imported. Replace {FOLDER} with the folder of the bank, which bench import prints. There "
            "is no network, so no policy can be exported."
        ]
    names = (without_paths(cell.dataset), without_paths(cell.backbone))
    found = [
        f"Records do not contain folders. Write the full path in {name}."
        for name, whole in zip(names, (cell.dataset, cell.backbone), strict=True)
        if name != whole
    ]
    if not _is_known("datasets", names[0]):
        found.append(f"The dataset {names[0]} is from a plugin. Add --plugin FILE.")
    if FOLDER in _network(cell)[0]:
        found.append(
            f"{names[1]} is neither in bench list backbones nor a published network. Replace {FOLDER} with the folder "
            "that bench finetune made; for a backbone from a plugin, with its name, and add --plugin FILE."
        )
    if cell.protocol_version == FIXED and network_folder(cell) is None and _is_known("backbones", names[1]):
        found.append(
            "These records have one pool for all seeds (protocol v1). exitbench now draws one per seed (v2) unless "
            "the dataset has a validation split; the page Protocol names the version that made the records."
        )
    return found


def _dataset(cell: Cell) -> str:
    return shlex.quote(without_paths(cell.dataset))


def _network(cell: Cell) -> list[str]:
    """Return the options that name the backbone, its input size and exits, and the limit."""
    name = without_paths(cell.backbone)
    known = _is_known("backbones", name) or ":" in name  # module:factory
    found = [f"--backbone {shlex.quote(network_folder(cell) or (name if known else FOLDER))}"]
    if cell.modality == "image" and cell.image_size:
        found.append(f"--image-size {cell.image_size}")
    if exits := _exits(cell):
        found.append(f"--exits {exits}")
    return [*found, *([] if cell.limit is None else [f"--limit {cell.limit}"])]


def _exits(cell: Cell) -> str:
    """Return the blocks that have intermediate exits, as `--exits` takes them; '' for backbones without it."""
    names, backbone = cell.exit_names[:-1], cell.backbone
    elsewhere = ":" in backbone and not _is_known("backbones", backbone)
    if elsewhere or backbone.startswith("cascade:") or not all(re.fullmatch(PLACE, name) for name in names):
        return ""
    return ",".join("-1" if name == "embeddings" else name.removeprefix("block ") for name in names)


def _is_known(kind: registry.Kind, text: str) -> bool:
    """Return whether exitbench or an installed package provides this name."""
    try:
        return parse(text).name in registry.plugins(kind)
    except UserError:
        return False
