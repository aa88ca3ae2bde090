"""`bench bank build | list | verify | prune`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED, guarded
from bench.cli.terminal import say

app = typer.Typer(help="Build, list, verify and prune feature banks.", no_args_is_help=True)


@app.command("build")
@guarded
@o.taking({"dataset": o.Dataset, "backbone": o.Backbone, **o.BANK})
def build(config: o.Config = None, **given: Any) -> None:
    """Build the feature banks that a run with the same options would use."""
    from bench.bank.cell import cell_of
    from bench.cli.progress import building
    from bench.cli.terminal import console as make_console
    from bench.session import Session

    session = Session(o.run_config(config, given))
    console = make_console()
    for source in session.sources():
        with building(console, source.request.title) as advance:
            bank = source.ensure(session.device, advance)
        say(f"{cell_of(bank).title}: {bank.path}")


@app.command("list")
@guarded
def list_banks(bank_dir: o.BankDir = None) -> None:
    """List the banks on this machine with their contents, size and state."""
    from bench.bank import store
    from bench.cli.terminal import console, table
    from bench.inputs import size_text

    shown = table("bank", "dataset", "backbone", "size", "exits", "samples", "MB", "state")
    for found in store.survey(bank_dir):
        m = found.manifest
        cells = ["?"] * 5
        if m:
            variant = f" ({m.dataset_variant})" if m.dataset_variant else ""
            samples = f"{sum(m.sizes.values()):,}"
            cells = [
                m.dataset + variant,
                m.backbone,
                size_text(m.image_size, m.modality),
                str(len(m.exit_names)),
                samples,
            ]
        shown.add_row(found.digest[:12], *cells, f"{found.bytes / 1e6:,.1f}", found.problem or found.state)
    console().print(shown)


@app.command("verify")
@guarded
def verify(bank_dir: o.BankDir = None) -> None:
    """Compare every bank with its checksums; exit with code 1 if one is damaged."""
    from bench.bank import store

    bad = 0
    for path in store.bank_paths(bank_dir):
        problems = store.verify(path)
        bad += bool(problems)
        say(f"{path.name}: {'; '.join(problems) or 'good'}")
    if bad:
        raise typer.Exit(FAILED)


@app.command("prune")
@guarded
def prune(
    bank_dir: o.BankDir = None,
    unused_days: Annotated[float | None, typer.Option(help="Also remove banks not opened for this many days.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every bank.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="List what would be removed.")] = False,
) -> None:
    """Remove unfinished and damaged banks, and print how much space was freed."""
    from bench.bank import store

    removed, freed = store.prune(bank_dir, everything=everything, unused_days=unused_days, dry_run=dry_run)
    for path, reason in removed.items():
        say(f"{'would remove' if dry_run else 'removed'} {path.name}: {reason}")
    say(f"{freed / 1e6:,.1f} MB {'would be' if dry_run else ''} freed.".replace("  ", " "))
