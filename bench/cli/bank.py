"""`bench bank build | list | verify | remove | prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.guard import FAILED, guarded
from bench.cli.terminal import say, say_json

if TYPE_CHECKING:
    from bench.bank.store import Found

app = typer.Typer(help="Build, list, verify, remove and prune feature banks.", no_args_is_help=True)


@app.command("build")
@guarded
@o.taking({"plugin": o.Plugin, "dataset": o.Dataset, "backbone": o.Backbone, **o.BANK})
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
def list_banks(
    bank_dir: o.BankDir = None,
    json_output: o.Json = False,
) -> None:
    """List the banks on this machine with their contents, size and state."""
    from bench.bank import store
    from bench.cli.terminal import console, table
    from bench.inputs import size_text

    if json_output:
        say_json([_row(found) for found in store.survey(bank_dir)])
        return
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


def _row(found: Found) -> dict[str, Any]:
    """Return a bank as JSON values; those of the manifest are None if the bank is unfinished or broken."""
    from datetime import UTC, datetime

    fields = ("dataset", "dataset_variant", "backbone", "modality", "image_size", "exit_names", "sizes")
    return {
        "name": found.path.name,
        "path": str(found.path),
        "digest": found.digest,
        "state": found.state,
        "problem": found.problem,
        "bytes": found.bytes,
        **{name: getattr(found.manifest, name, None) for name in fields},
        "used": datetime.fromtimestamp(found.used, UTC).isoformat(timespec="seconds"),
    }


@app.command("remove")
@guarded
def remove(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name of the bank, as `bench bank list` prints it.",
            autocompletion=completion.banks,
        ),
    ],
    bank_dir: o.BankDir = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print what would be removed.")] = False,
    json_output: o.Json = False,
) -> None:
    """Remove one bank, and print how much space was freed."""
    from bench.bank import store

    found = store.remove(name, bank_dir, dry_run=dry_run)
    if json_output:
        say_json({"removed": {found.path.name: "named"}, "bytes": found.bytes, "dry_run": dry_run})
        return
    would = "would be " if dry_run else ""
    say(f"{'would remove' if dry_run else 'removed'} {found.path.name}: {found.bytes / 1e6:,.1f} MB {would}freed.")


@app.command("verify")
@guarded
def verify(bank_dir: o.BankDir = None, json_output: o.Json = False) -> None:
    """Compare every bank with its checksums; exit with code 1 if one is damaged."""
    from bench.bank import store

    found = {}
    for path in store.bank_paths(bank_dir):
        found[path.name] = problems = store.verify(path)
        say(f"{path.name}: {'; '.join(problems) or 'good'}", error=json_output)
    if json_output:
        say_json([{"name": name, "problems": problems} for name, problems in found.items()])
    if any(found.values()):
        raise typer.Exit(FAILED)


@app.command("prune")
@guarded
def prune(
    bank_dir: o.BankDir = None,
    unused_days: Annotated[
        float | None, o.option(help="Also remove banks that were not opened for this many days.", default="off")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every bank.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="List what would be removed.")] = False,
    json_output: o.Json = False,
) -> None:
    """Remove unfinished and damaged banks, and print how much space was freed."""
    from bench.bank import store

    removed, freed = store.prune(bank_dir, everything=everything, unused_days=unused_days, dry_run=dry_run)
    if json_output:
        reasons = {path.name: reason for path, reason in removed.items()}
        say_json({"removed": reasons, "bytes": freed, "dry_run": dry_run})
        return
    for path, reason in removed.items():
        say(f"{'would remove' if dry_run else 'removed'} {path.name}: {reason}")
    say(f"{freed / 1e6:,.1f} MB {'would be' if dry_run else ''} freed.".replace("  ", " "))
