"""The command line. Each command is a thin file that parses options, calls a function and prints the result.

Heavy modules are imported inside the functions that need them, so that --help and completion are fast. `--help` keeps
the line breaks of a docstring after its first paragraph, which is why commands wrap those lines early.
"""

from __future__ import annotations

import typer

from bench.cli import (
    bank,
    check,
    check_backbone,
    export,
    finetune,
    import_logits,
    latency,
    listing,
    new,
    plan,
    publish,
    report,
    reproduce,
    run,
    score,
    show,
    submit,
    tune,
    verify,
)
from bench.cli.guard import guarded
from bench.cli.terminal import prepare

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(guarded(run.run))
app.command("plan")(guarded(plan.plan))
app.command("list")(guarded(listing.list_names))
app.command("new")(guarded(new.new))
app.command("new-method")(guarded(new.new_method))
app.command("check")(guarded(check.check))
app.command("check-backbone")(guarded(check_backbone.check_backbone))
app.command("show")(guarded(show.show))
app.command("report")(guarded(report.report))
app.command("publish")(guarded(publish.publish))
app.command("submit")(guarded(submit.submit))
app.command("verify")(guarded(verify.verify))
app.command("export")(guarded(export.export))
app.command("score")(guarded(score.score))
app.command("latency")(guarded(latency.latency))
app.command("tune")(guarded(tune.tune))
app.command("finetune")(guarded(finetune.finetune))
app.command("import")(guarded(import_logits.import_logits))
app.command("reproduce")(guarded(reproduce.reproduce))
app.add_typer(bank.app, name="bank")


def _version(show: bool) -> None:
    if show:
        import bench

        print(f"exitbench {bench.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Compare early-exit methods on one frozen backbone: accuracy, calibration and conformal set size against cost."""


def main() -> None:
    """Run the command line."""
    prepare()
    app()
