"""Third-party networks: built by their authors' factories, labelled, and identified by their code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.backbones.builder import Builder
from bench.backbones.code import blame, code_digest
from bench.backbones.imported import here
from bench.backbones.staged import Options, Origin, StagedBackbone
from bench.backbones.weights import fit_head, seeded
from bench.errors import UserError
from bench.plugins.spec import Spec


def make(builder: Builder, given: Mapping[str, Any], params: Mapping[str, Any]) -> StagedBackbone:
    """Return the backbone of a factory, called with the options that it accepts and the spec's bracketed parameters.

    Options that are None are left to the factory's defaults. Random draws are seeded. The backbone is named as in the
    spec. Raises UserError if the factory fails, returns something else, or does not support a given option.
    """
    label = label_of(builder.spec)
    for key in ("weights", "exits"):
        if given[key] is not None and not builder.takes(key):
            raise UserError(
                f"'{label}' has no parameter '{key}', but {key}={given[key]} was given. "
                f"Leave it out, or give its factory a keyword parameter `{key}`."
            )
    accepted = {key: value for key, value in given.items() if value is not None and builder.takes(key)}
    try:
        with here():
            backbone = seeded(lambda: builder.function(**accepted, **params))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The factory of '{label}' fails: {blame(error)}. Correct it, then run `bench check-backbone {label}`."
        ) from error
    if not isinstance(backbone, StagedBackbone):
        raise UserError(
            f"The factory of '{label}' returns {type(backbone).__name__}, not a StagedBackbone. Return "
            "`bench.backbones.stages.from_stages([…], …)` with the list of the network's stages."
        )
    if given["image_size"] not in (None, backbone.image_size):
        raise UserError(
            f"'{label}' is built for images of {backbone.image_size} pixels, not {given['image_size']}. "
            "Leave --image-size out, or give its factory a keyword parameter `image_size`."
        )
    num_classes = given["num_classes"]
    if num_classes not in (None, backbone.num_classes):
        head, _ = fit_head(None, backbone.final_dim, num_classes, Origin(backbone.seen), label)
        backbone.replace_head(head)
        backbone.head_for = None
    backbone.identify(label, code_digest(builder.function, backbone))
    return backbone


def label_of(spec: Spec) -> str:
    """Return a network's name in tables: its spec without the options that every backbone has."""
    params = {key: value for key, value in spec.params.items() if key not in Options.__annotations__}
    return str(Spec(spec.name, spec.argument, params))
