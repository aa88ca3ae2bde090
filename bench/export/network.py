"""The backbone of an exported policy: with weights from the folder, or rebuilt from its specification."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from bench import backbones
from bench.backbones.builder import only_registered
from bench.backbones.network import is_network, read
from bench.backbones.staged import digest
from bench.backbones.weights import RANDOM, load_strictly
from bench.errors import UserError
from bench.export.folder import BACKBONE, BackboneSpec
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.system.paths import user_path

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.bank.plan import Plan
    from bench.bank.source import Request

OF_WEIGHTS = ("weights", "seen", "head_for")  # parameters that say where weights come from


def rebuilt(
    known: BackboneSpec,
    stored: Mapping[str, Tensor] | None,
    *,
    spec: str | None = None,
    weights: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> StagedBackbone:
    """Build a backbone with stored weights, or with those of its spec if none are stored.

    `spec` may be any that `backbones.load` accepts; without it, the folder's own must be registered, so that a folder
    cannot make Python import anything. Raises UserError if the weights differ from the exported ones.
    """
    name = spec or known.spec
    if spec is None and parse(known.spec).name not in registry.plugins("backbones"):
        raise UserError(
            f"The folder's backbone '{known.spec}' is not one of `bench list backbones`. If you trust it, name it "
            "yourself: bench.load_policy(FOLDER, backbone=…)."
        )
    options = {"num_classes": known.num_classes, "image_size": known.image_size, "exits": known.exits}
    if stored is not None:
        with only_registered() if spec is None else nullcontext():
            network = backbones.load_to_fill(architecture(name), **options)  # type: ignore[arg-type]
        network.native = nn.ModuleList()
        load_strictly(network, stored, BACKBONE)
    else:
        asked = weights if weights is not None else known.weights
        if weights is None and spec is None and known.weights not in (None, RANDOM):
            raise UserError(
                f"The folder has no weights of its backbone, which came from '{known.weights}'. Name that file "
                "(weights=PATH), or the folder of a network (backbone=FOLDER)."
            )
        asked = None if is_network(name) else asked
        with only_registered() if spec is None else nullcontext():
            network = backbones.load(name, weights=asked, data_dir=data_dir, **options)  # type: ignore[arg-type]
        network.native = nn.ModuleList()
    if (found := weights_digest(network)) != known.digest:
        raise UserError(
            f"The weights of {network.name} are not those that the policy was fitted on (digest {found} instead of "
            f"{known.digest}). Give the right ones (weights=PATH), or export again with the backbone's weights."
        )
    return network


def spec_of(plan: Plan, request: Request) -> BackboneSpec:
    """Return the specification from which a requested backbone is rebuilt, without names of folders."""
    network, name, exits = plan.backbone, request.backbone, request.exits
    spec, size = backbones.for_images(name, plan.dataset.native_size, request.image_size)
    weights: str | None = name
    if is_network(name):
        exits = ",".join(map(str, network.positions))
    else:
        name = str(spec)
        weights = request.weights or spec.params.get("weights")
    return BackboneSpec(
        spec=architecture(name),
        num_classes=network.head.out_features,
        image_size=size,
        exits=exits,
        weights=weights if weights is None or weights == RANDOM else Path(weights).name,
        digest=weights_digest(network),
    )


def weights_of(network: StagedBackbone) -> dict[str, Tensor]:
    """Return the weights of a backbone, without its own heads of intermediate exits: those are the policy's."""
    return {k: v.detach() for k, v in network.state_dict().items() if not k.startswith("native.")}


def weights_digest(network: StagedBackbone) -> str:
    """Return the digest of the weights and exits that a backbone has now."""
    return digest(f"{network.exit_names}{network.code}", weights_of(network))


def architecture(name: str) -> str:
    """Return a spec without the parameters of its weights; for a trained network's folder, that of its own backbone."""
    if is_network(name):
        return architecture(read(user_path(name))["backbone"])
    spec = parse(name)
    kept = {key: value for key, value in spec.params.items() if key not in OF_WEIGHTS}
    return str(dataclasses.replace(spec, params=kept))
