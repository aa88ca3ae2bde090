"""`bench import`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import options as o
from bench.cli.terminal import say
from bench.system.download import is_url


def import_logits(
    given: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|FILE|URL",
            help="A folder with macs.json and the logits of pool (or val), test and optionally train; or a file that "
            "`bench publish --logits` wrote.",
        ),
    ],
    bank_dir: o.BankDir = None,
) -> None:
    """Make a bank from per-exit logits, of a network trained elsewhere or written by `bench publish --logits`.

    In a folder, each of pool, test and train is an .npz or .safetensors file with
    arrays exit_0 … exit_K-1 (samples × classes) and labels. macs.json gives name,
    dataset and macs (the cost of leaving at each exit); class_names and image_size
    are optional.
    """
    from bench.bank.imported import import_logits as make

    bank = make(given if is_url(given) else o.path(given), bank_dir)
    sizes = ", ".join(f"{count:,} {name}" for name, count in bank.manifest.sizes.items())
    say(f"{bank.manifest.dataset} → {bank.manifest.backbone}: {bank.num_exits} exits, {sizes}")
    say(f"Bank: {bank.path}")
    say(f"Next: bench run --bank {bank.path} --methods 'msdnet_thresh[heads=native],global_thresh[heads=native]'")
