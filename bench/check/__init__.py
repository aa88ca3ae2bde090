"""The conformance kit: check every requirement on a method, a head recipe, a dataset or a backbone within seconds.

A complete test file for a plugin: `from bench.check import suite` and `test_my_method = suite("my_method")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.check.result import Result
    from bench.method import Method
    from bench.recipe import Recipe

Word = Literal["method", "head", "dataset", "backbone"]


def run(
    subject: str | type[Method] | type[Recipe], plugins: Iterable[str | Path] = (), kind: Word = "method"
) -> list[Result]:
    """Run all checks on a registered `name[param=value,…]`, or on a method's or a recipe's class; one result each.

    `plugins` are files that register names, loaded first. Raises UserError for an unknown name or parameter.
    """
    from bench.check.kinds import WORDS, examination
    from bench.plugins.files import load_files

    load_files(plugins)
    return examination(WORDS[kind], subject).results()


def suite(
    subject: str | type[Method] | type[Recipe], plugins: Iterable[str | Path] = (), kind: Word = "method"
) -> Callable[..., None]:
    """Return a pytest function with one case per check: `test_my_method = suite("my_method")` is a whole test file.

    The subject is loaded when the first case runs; a case is skipped if a check that it needs fails.
    """
    import warnings

    import pytest

    from bench.check.kinds import WORDS, checks, examination
    from bench.plugins.files import load_files

    started: dict[str, Any] = {}

    @pytest.mark.parametrize("check", [check.name for check in checks(WORDS[kind])])
    def conforms(check: str) -> None:
        if not started:
            load_files(plugins)
            started["examination"] = examination(WORDS[kind], subject)
        result = started["examination"].result(check)
        if result.status == "skip":
            pytest.skip(result.message)
        if result.status == "fail":
            pytest.fail(f"{check}: {result.message}", pytrace=False)
        if result.status == "warn":
            warnings.warn(f"{check}: {result.message}", stacklevel=2)

    return conforms
