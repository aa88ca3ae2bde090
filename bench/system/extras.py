"""The optional extras: `pip install exitbench` alone installs reports and statistics, without PyTorch."""

from __future__ import annotations

EXTRAS = {
    "run": ("torch", "torchvision", "timm", "sklearn", "mapie", "safetensors", "datasets", "mlxtend"),
    "ray": ("ray",),
    "tune": ("optuna",),
    "text": ("transformers", "tokenizers"),
}


def lacking(error: BaseException) -> str | None:
    """Return the message for a missing module that an extra installs; None for any other error."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    module = error.name.partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            command = f"python -m pip install 'exitbench[{extra}]'"
            return f"This needs {module}, which is not installed. Install it: {command}."
    return None
