"""Networks that `bench finetune` made: a folder with `network.json` and `network.safetensors`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from torch import Tensor, nn

from bench.backbones.staged import Options, Origin, Preprocessing, StagedBackbone, Tuned
from bench.backbones.weights import fit_head
from bench.errors import UserError
from bench.plugins.spec import parse
from bench.system.files import read_regular
from bench.system.paths import user_path
from bench.system.recall import watch

DESCRIPTION, WEIGHTS = "network.json", "network.safetensors"
MODEL = "model"  # folder of the configuration and the tokenizer of a text encoder that came from a folder or the hub
FORMAT = 1
MOST_JSON, MOST_BYTES = 1 << 24, 1 << 33
REMEDY = "Make it again with `bench finetune`, or give another folder."


def is_network(text: str) -> bool:
    """Return whether a text is the path of a folder that contains a network."""
    try:
        path = user_path(text)
        watch(path / DESCRIPTION)
        return (path / DESCRIPTION).is_file()
    except (UserError, OSError, ValueError):
        return False


def network(argument: str, **options: Unpack[Options]) -> StagedBackbone:
    """A network made by `bench finetune`: `--backbone FOLDER`."""
    from bench import backbones
    from bench.backbones.builder import only_registered

    folder = user_path(argument)
    if options.get("weights") is not None:
        raise UserError(f"'{folder}' has its own weights. Leave --weights out.")
    told = read(folder)
    state = _weights(folder, told["sha256"])
    native = any(name.startswith("native.") for name in state)
    exits = ",".join(map(str, told["exits"]))
    if native and options.get("exits") not in (None, exits):
        raise UserError(f"The exits of '{folder}' were trained at fixed positions ({exits}). Leave --exits out.")
    classes = len(told["class_names"])
    size = options.get("image_size") or told["image_size"]
    base = parse(told["backbone"])
    if (folder / MODEL).is_dir():
        base = replace(base, argument=str(folder / MODEL))
    with only_registered():
        backbone = backbones.load_to_fill(
            base, num_classes=classes, image_size=size, exits=options.get("exits") or exits
        )
    before = frozenset(told["seen_before"])
    origin = Origin(before | {told["source"]}, told["source"])
    head, origin = fit_head(backbone.head, backbone.head.in_features, options.get("num_classes"), origin, str(folder))
    try:
        backbone.refill(
            state,
            name=told["name"],
            preprocessing=Preprocessing(**looks) if (looks := told.get("preprocessing")) else None,
            origin=origin,
            tuned=Tuned(told["dataset"], told["dataset_digest"], told["protocol"], before, tuple(told["class_names"])),
            native=[nn.Linear(width, classes) for width in backbone.feature_dims] if native else [],
        )
    except (RuntimeError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip().rstrip(".")
        raise UserError(f"The weights in '{folder}' do not fit {told['backbone']}: {reason}. {REMEDY}") from error
    if head is not backbone.head:
        backbone.replace_head(head)
    return backbone


def _image_size(native: int, argument: str) -> int:
    return read(user_path(argument))["image_size"]


network.default_image_size = _image_size  # type: ignore[attr-defined]


def read(folder: Path) -> dict[str, Any]:
    """Return the description of a network. Raises UserError if it is damaged or has another format."""
    path = folder / DESCRIPTION
    watch(path)
    try:
        told = json.loads(read_regular(path, MOST_JSON))
        version = told.get("format")
    except Exception as error:  # damaged JSON may raise several kinds
        reason = str(error) or type(error).__name__
        raise UserError(f"'{path}' cannot be read ({reason}). {REMEDY}") from None
    if version != FORMAT:
        raise UserError(f"'{path}' has format {version!r}; this version of exitbench reads {FORMAT}. {REMEDY}")
    return _checked(path, told)


def _checked(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    from typing import NotRequired

    from pydantic import TypeAdapter, ValidationError
    from typing_extensions import TypedDict

    triple = tuple[float, float, float]
    looks = TypedDict("looks", {"mean": triple, "std": triple, "interpolation": str})  # noqa: UP013
    texts = ("name", "backbone", "dataset", "dataset_digest", "source", "protocol", "sha256")
    fields: dict[str, Any] = dict.fromkeys(texts, str)
    fields |= {"image_size": int, "exits": list[int], "class_names": list[str], "seen_before": list[str]}
    shape = TypedDict("shape", {**fields, "preprocessing": NotRequired[looks]})  # type: ignore[misc,valid-type]
    try:
        return told | TypeAdapter(shape).validate_python(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"'{path}' is not valid: {where}: {first['msg']}. {REMEDY}") from None


def _weights(folder: Path, sha256: str) -> dict[str, Tensor]:
    from safetensors.torch import load

    path = folder / WEIGHTS
    watch(path)
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror or error}). {REMEDY}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"'{path}' is not the file that {DESCRIPTION} describes. {REMEDY}")
    held = load(content)
    return {name: value.float() if value.is_floating_point() else value for name, value in held.items()}
