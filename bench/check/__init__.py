"""The conformance kit: check every requirement on an early-exit method on small synthetic tasks within seconds.

A plugin author's whole test file: `from bench.check import suite` and `test_my_method = suite("my_method")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.check.result import Result
    from bench.method import Method


def run(method: str | type[Method], plugins: Iterable[str | Path] = ()) -> list[Result]:
    """Run all checks on a method, a registered `name[param=value,…]` or a class, and return one result per check.

    `plugins` are files that register methods, loaded first. Raises UserError for an unknown name or parameter.
    """
    from bench.check.examine import examination
    from bench.plugins.files import load_files

    load_files(plugins)
    return examination(method).results()


def suite(method: str | type[Method], plugins: Iterable[str | Path] = ()) -> Callable[..., None]:
    """Return a pytest function with one case per check: `test_my_method = suite("my_method")` is a whole test file.

    The method is loaded when the first case runs; a case is skipped if a check that it needs fails.
    """
    import warnings

    import pytest

    from bench.check.examine import checks, examination
    from bench.plugins.files import load_files

    started: dict[str, Any] = {}

    @pytest.mark.parametrize("check", [check.name for check in checks()])
    def conforms(check: str) -> None:
        if not started:
            load_files(plugins)
            started["examination"] = examination(method)
        result = started["examination"].result(check)
        if result.status == "skip":
            pytest.skip(result.message)
        if result.status == "fail":
            pytest.fail(f"{check}: {result.message}", pytrace=False)
        if result.status == "warn":
            warnings.warn(f"{check}: {result.message}", stacklevel=2)

    return conforms
