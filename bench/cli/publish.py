"""`bench publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion
from bench.cli.options import PATH, BankDir
from bench.cli.terminal import say
from bench.system.text import counted, file_size


def publish(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SETTING]…",
            help="dataset or dataset/backbone; all if left out.",
            autocompletion=completion.of_runs,
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Working store to read.", **PATH)] = Path("runs"),
    older: Annotated[
        Path | None, typer.Option("-o", "--output", hidden=True, help="Older name of --results.", **PATH)
    ] = None,
    to: Annotated[Path, typer.Option(help="Published store to write.", **PATH)] = Path("results"),
    logits: Annotated[
        bool, typer.Option("--logits", help="Also write logits.npz: the logits of every exit on val, cal and test.")
    ] = False,
    bank_dir: BankDir = None,
) -> None:
    """Write records of a working store, latencies and searches to the published store: two Parquet files per setting.

    Records are merged with those published before: the newest record of an
    operating point counts, and no published point is lost. Smoke runs (--limit),
    failed points and unfinished searches of `bench tune` are not published. With
    --logits, exit rules can be tested on the logits with only NumPy
    (`bench.load_logits`); the banks must be on this machine.
    """
    from bench.execution.measurements import publish as write_latencies
    from bench.trials.folders import names_of
    from bench.trials.publish import CHANGES
    from bench.trials.publish import publish as write
    from bench.trials.published import PublishedStore
    from bench.tune.published import publish as write_searches

    store = older or results
    found = write(store, to, settings or ())
    names = names_of([*found.smoke, *found.settings])
    for cell in found.smoke:
        say(f"Not published: {names[cell]} is a smoke run on {cell.limit} {cell.modality}s per split.")
    for cell, merged in found.settings.items():
        say(f"{names[cell]}, {cell.size}: {counted(len(merged.records), 'operating point')}.")
        for word, meaning in CHANGES.items():
            if merged.counts[word]:
                say(f"  {merged.counts[word]} {meaning}")
    latencies = [write_latencies(store, to, cell) for cell in found.settings]
    searches = [path for cell in found.settings for path in write_searches(store, to, cell)]
    paths = [*found.paths, *filter(None, latencies), *searches]
    if logits:
        from bench.trials.pack import write_pack

        places = PublishedStore(to).folders()
        paths = [*paths, *(write_pack(c, m.records, to / places[c], bank_dir) for c, m in found.settings.items())]
    for path in paths:
        say(f"{path} ({file_size(path.stat().st_size)})")
    if not paths:
        say("Nothing was published.")
