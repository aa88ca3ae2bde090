"""Turn errors into messages and exit codes, for every command."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from bench.cli.terminal import say
from bench.errors import UserError
from bench.system.extras import lacking

FAILED, USAGE, DRIFT, INTERRUPTED = 1, 2, 3, 130


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command: a UserError or a missing extra prints one sentence and exits with code 2, Ctrl-C with 130."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            say(f"bench: {error}", error=True)
            raise typer.Exit(USAGE) from None
        except ModuleNotFoundError as error:
            if (sentence := lacking(error)) is None:
                raise
            say(f"bench: {sentence}", error=True)
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt:
            say("\nbench: interrupted. Finished trials are kept; run the same command again to continue.", error=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(FAILED) from None

    return wrapper
