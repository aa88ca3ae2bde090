"""A policy loaded from a folder: it classifies raw images or texts stage by stage and really stops early."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.config import resolve_device
from bench.errors import UserError
from bench.export import folder as files
from bench.export.folder import BACKBONE, REMEDY, TENSORS, Contents
from bench.export.network import rebuilt
from bench.export.raw import squares, texts
from bench.export.zipped import unpacked
from bench.inference import Outcomes, execute, exit_macs, simulate
from bench.inputs import Preparation, size_text
from bench.inputs.images import Transform
from bench.method import ExitData, Policy
from bench.plugins.files import load_files
from bench.trials.modules import rebuild

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.export.raw import Images, Texts


class LoadedPolicy:
    """An early-exit classifier for raw images or texts; `bench.load_policy` makes one.

    classes [C] and exit_names [K] are names; costs [K] are the MACs of one sample that leaves at each exit.
    """

    def __init__(self, policy: Policy, backbone: StagedBackbone, contents: Contents, device: torch.device) -> None:
        self.policy, self.backbone = policy.to(device).eval(), backbone.to(device).eval()
        self.contents, self.device = contents, device
        self.classes, self.exit_names, self.costs = contents.classes, contents.exits, contents.costs
        self.preparation = preparation_of(contents, backbone)

    def __call__(self, inputs: Images | Texts, *, batch_size: int = 64) -> tuple[Tensor, Tensor]:
        """Classify inputs, really stopping early; return predictions and exits, int64 [N] on the CPU.

        inputs: for images, a list of Pillow images or uint8 arrays [H, W, 3] of any size, or one array [N, H, W, 3];
        for texts, a list of `str` or of tuples of two. Raises UserError for anything else.
        """
        if batch_size < 1:
            raise UserError(f"The batch size is {batch_size}; give 1 or more.")
        given: Sequence[Any] = squares(cast("Images", inputs)) if self.backbone.modality == "image" else texts(inputs)
        predictions, exits = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
        for start in range(0, len(given), batch_size):
            outcomes = self.outcomes(self.prepare(given[start : start + batch_size]))
            predictions.append(outcomes.logits.argmax(-1).cpu())
            exits.append(outcomes.exit_index.cpu())
        return torch.cat(predictions), torch.cat(exits)

    def prepare(self, inputs: Sequence[Any]) -> Tensor:
        """Return the network's input on the policy's device: float32 [N, 3, size, size], or int64 [N, T, 2]."""
        return self.preparation.batch(inputs, np.arange(len(inputs))).to(self.device)

    def outcomes(self, inputs: Tensor) -> Outcomes:
        """Run prepared inputs and return their outcomes, whose labels are 0."""
        unknown = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
        return execute(self.policy, self.backbone, inputs, unknown, self.contents.macs)

    def describe(self) -> str:
        """Return its setting, scores and costs in a few lines of text."""
        c = self.contents
        data, network = c.setting.get("dataset"), c.setting.get("backbone")
        modality = self.backbone.modality
        size = size_text(self.preparation.size if modality == "image" else c.setting["image_size"], modality)
        lines = [
            f"{c.method}, budget {c.budget:g}, seed {c.seed}: {data} → {network}, {size}",
            *(
                f"{split}: accuracy {values['accuracy']:.2%} at {values['macs_fraction']:.2%} of the backbone's MACs"
                for split, values in (("val", c.val), ("test", c.test))
            ),
        ]
        full = c.macs[-1]
        lines += [
            f"exit {k} ({name}) costs {cost / full:.2%}"
            for k, (name, cost) in enumerate(zip(c.exits, c.costs, strict=True))
        ]
        return "\n".join([*lines, *([f"Note: {c.note}"] if c.note else [])])


def load(
    folder: str | Path,
    *,
    device: str = "cpu",
    backbone: str | None = None,
    weights: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
) -> LoadedPolicy:
    """Load a folder or a .zip that `bench export` wrote.

    backbone, weights, data_dir: the network in place of the one that the folder names; needed if the folder has no
    weights and they are not the pretrained ones. plugins: files that define the method, as for `--plugin`. Nothing in
    the folder is run: it can only name what exitbench, torch's layers and plugins define. Raises UserError for a folder
    that is damaged, changed, or of a newer format, and for a network with other weights.
    """
    load_files(plugins)
    with unpacked(Path(folder)) as held:
        return _load(held, device=device, backbone=backbone, weights=weights, data_dir=data_dir)


def _load(
    folder: Path, *, device: str, backbone: str | None, weights: str | Path | None, data_dir: str | Path | None
) -> LoadedPolicy:
    contents = files.read(folder)
    tensors = tensors_of(folder / TENSORS)
    policy = policy_of(contents, {k: v for k, v in tensors.items() if k.startswith("policy")})
    stored = tensors_of(folder / BACKBONE) if BACKBONE in contents.files else None
    network = rebuilt(contents.backbone, stored, spec=backbone, weights=weights, data_dir=data_dir)
    try:
        put_head(network, tensors["head.weight"], tensors["head.bias"])
    except (KeyError, IndexError, RuntimeError) as error:
        raise UserError(f"'{folder / TENSORS}' has no final head ({error}). {REMEDY}") from None
    check(policy, network, contents)
    return LoadedPolicy(policy, network, contents, torch.device(resolve_device(device)))


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; raise UserError if it is not one."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"'{path}' is not a safetensors file ({error}). {REMEDY}") from None


def policy_of(contents: Contents, tensors: dict[str, Tensor]) -> Policy:
    """Build the policy that a folder describes; raise UserError if one of its classes is not available."""
    try:
        made = rebuild(contents.structure, tensors)
    except ValueError as error:
        raise UserError(
            f"The policy of '{contents.method}' cannot be rebuilt: {error}. If it is a method of a plugin, install "
            "the plugin or name its file (plugins=[…])."
        ) from None
    if not isinstance(made, Policy):
        raise UserError(f"The folder contains a {type(made).__name__}, not a policy. {REMEDY}")
    return made


def put_head(backbone: StagedBackbone, weight: Tensor, bias: Tensor) -> None:
    """Give a backbone the final head that a bank uses for one seed: weight [C, D] and bias [C]."""
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    backbone.head = head.requires_grad_(False)


@torch.no_grad()
def check(policy: Policy, backbone: StagedBackbone, contents: Contents) -> None:
    """Send one blank sample through all exits; raise UserError if a part of a folder does not fit the others."""
    try:
        features, logits = backbone.exits(backbone.example(preparation_of(contents, backbone).size))
        data = ExitData(tuple(features), logits, torch.zeros(1, dtype=torch.int64))
        answers = simulate(copy.deepcopy(policy), data, contents.macs).exit_logits
        assert answers is not None
        shape, costs = tuple(answers.shape[1:]), tuple(exit_macs(policy, contents.macs))
    except UserError:
        raise
    except Exception as error:  # a damaged description may raise anything
        raise UserError(
            f"The parts of the policy do not fit together ({type(error).__name__}: {error}). {REMEDY}"
        ) from None
    if shape != (len(contents.exits), len(contents.classes)) or costs != contents.costs:
        raise UserError(
            f"The policy has {shape[0]} exits and {shape[1]} classes at costs {list(costs)}; policy.json states "
            f"{len(contents.exits)}, {len(contents.classes)} and {list(contents.costs)}. {REMEDY}"
        )


def preparation_of(contents: Contents, backbone: StagedBackbone) -> Preparation:
    """Return the preprocessing of the policy's inputs: the stored transform of images, or the backbone's own tokenizer.

    Raises UserError for a transform that is not valid, and for a tokenizer that differs from the exported one.
    """
    t: Any = contents.transform
    if backbone.modality == "text":
        found = backbone.preparation()
        if json.loads(json.dumps(found.describe())) != dict(t):
            raise UserError(
                f"The tokenizer of {backbone.name} differs from that of the exported policy. Name the right network "
                "(backbone=…), or export again."
            )
        return found
    try:
        made = Transform(int(t["size"]), tuple(map(float, t["mean"])), tuple(map(float, t["std"])), t["interpolation"])
        fits = 1 <= made.size <= files.MOST_PIXELS and made.interpolation in ("bilinear", "bicubic")
        if not fits or len(made.mean) != 3 or len(made.std) != 3:
            raise ValueError(str(made))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The transform of the policy is not valid ({error}). {REMEDY}") from None
    return made
