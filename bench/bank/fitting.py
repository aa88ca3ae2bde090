"""Check that a backbone reads a dataset's modality, and list backbones and datasets that would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.datasets.dataset import Dataset
    from bench.plugins.registry import Kind


def check_fits(dataset: Dataset, name: str, reads: str | None) -> None:
    """Raise UserError if the backbone `name` reads another modality than the dataset's; reads=None: not known."""
    if reads in (None, dataset.modality):
        return
    raise UserError(
        f"'{name}' reads {reads}s, and '{dataset.name}' has {dataset.modality}s. Backbones that read "
        f"{dataset.modality}s: {', '.join(_known('backbones', dataset.modality)) or 'none are installed'}. Datasets of "
        f"{reads}s: {', '.join(_known('datasets', str(reads)))}."
    )


def modality_of(name: str) -> str | None:
    """Return the modality that a backbone reads, from its builder's annotation; None if that is not known.

    For an argument (a network's folder, members of a cascade) it is known only after loading.
    """
    from bench.backbones.builder import find

    builder = find(name)
    return None if builder.spec.argument is not None else next(iter(_modalities(builder.function)), None)


def _known(kind: Kind, modality: str) -> list[str]:
    """Return the registered names of a modality; one that cannot be imported is left out."""
    from bench.plugins import registry

    found = []
    for name, plugin in registry.plugins(kind).items():
        try:
            fits = modality in _modalities(plugin.load())
        except UserError:
            continue
        if fits:
            found.append(name)
    return found


def _modalities(function: Any) -> list[str]:
    """Return the modalities of what a function is annotated to return."""
    try:
        result = get_type_hints(function)["return"]
    except Exception:  # third-party functions may have no annotations, or ones that only a type checker can read
        return []
    return [kind.modality for kind in (get_args(result) or (result,)) if hasattr(kind, "modality")]
