"""`bench score`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.guard import FAILED
from bench.cli.terminal import console as make_console
from bench.cli.terminal import say, say_json
from bench.system.text import counted

if TYPE_CHECKING:
    from bench.trials.rescore import Rescored

SHOWN = 8  # names in one line


def score(
    results: Annotated[
        Path, typer.Option("--results", help="Working store whose records to complete.", **o.PATH)
    ] = Path("runs"),
    older: Annotated[
        Path | None, typer.Option("-o", "--output", hidden=True, help="Older name of --results.", **o.PATH)
    ] = None,
    only: Annotated[
        str | None,
        o.option(
            help="Only this dataset or dataset/backbone.", default="all settings", autocompletion=completion.settings
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Compute all scores again, not only missing ones.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print what would be added; write nothing.")] = False,
    json_output: o.Json = False,
) -> None:
    """Add missing scores to stored records, from their stored outcomes; nothing is trained again.

    Exit code 0: every record has every score. 1: some scores could not be
    computed, because outcomes are missing, damaged or from a version that stored
    less. Existing scores are kept, and the reasons are printed.
    """
    from rich.progress import track

    from bench.trials.rescore import rescore_all, wanted_paths
    from bench.trials.store import Store

    console = make_console(stderr=True)
    paths = wanted_paths(Store(older or results), only)
    found = rescore_all(paths, again=again, write=not dry_run)
    shown = track(found, "Scoring", len(paths), console=console, transient=True, disable=not console.is_terminal)
    done = list(shown)
    if json_output:
        say_json(as_json(done, dry_run=dry_run))
    else:
        for line in told(done, dry_run=dry_run):
            say(line)
    if any(one.lacking or one.problem for one in done):
        raise typer.Exit(FAILED)


def as_json(done: list[Rescored], *, dry_run: bool) -> dict[str, Any]:
    """Return JSON values: how many records gained and lack each score, and the records that cannot be used."""
    return {
        "written": not dry_run,
        "records": len(done),
        "gained": sum(bool(one.added) for one in done),
        "added": dict(sorted(Counter(name for one in done for name in one.added).items())),
        "lacking": dict(sorted(Counter(name for one in done for name in one.lacking).items())),
        "problems": [{"record": one.record.id, "problem": one.problem} for one in done if one.problem],
    }


def told(done: list[Rescored], *, dry_run: bool = False) -> list[str]:
    """Return lines that say what was added, and for each reason what could not be computed and what to do."""
    gained = [one for one in done if one.added]
    verb = "would gain" if dry_run else "gained"
    lines = [f"{len(gained)} of {counted(len(done), 'record')} {verb} scores."]
    names = Counter(name for one in gained for name in one.added)
    if names:
        lines.append(f"  new: {_some(names)}")
    problems = Counter(one.problem for one in done if one.problem)
    for problem, number in problems.items():
        first = next(one.record for one in done if one.problem == problem)
        which = f"Record {first.id} ({first.point.label}, {first.point.point}, seed {first.point.seed})"
        lines.append(f"{which}{f' and {number - 1} more' if number > 1 else ''} is unchanged: {problem}.")
    short: dict[tuple[str, ...], Counter[str]] = {}
    for one in done:
        for name, lacks in one.lacking.items():
            short.setdefault(lacks, Counter())[name] += 1
    for lacks, counts in short.items():
        most = max(counts.values())
        lack = f"{counted(most, 'record')} {'lacks' if most == 1 else 'lack'}"
        lines.append(f"{lack} {', '.join(lacks)}, needed for {_some(counts)}.")
    if short or problems:
        lines.append("To get these scores, run the points again: `bench run --rerun all` with the options of that run.")
    return lines


def _some(names: Counter[str]) -> str:
    unique = sorted({name.split("@")[0] for name in names})
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return ", ".join(unique[:SHOWN]) + more
