"""The pages of docs/ as tests run them: their code blocks, their links, and the commands that they call."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tests.helpers.paths import ROOT

BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


class Block(NamedTuple):
    file: str | None  # that the page says the block is
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    return (Block(**match.groupdict()) for match in BLOCK.finditer(page.read_text(encoding="utf-8")))


def broken_links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in links if not (page.parent / link).exists()]


def lines_of(script: str) -> Iterator[list[str]]:
    """Yield the words of every command of a script, the program without its folder."""
    for line in script.replace("\\\n", " ").splitlines():
        for words in (shlex.split(part, comments=True) for part in line.split(" && ")):
            if words:
                yield [Path(words[0]).name, *words[1:]]


class Shell:
    """Runs what a page shows, in the current folder. `bench` and Python run in this process, which has torch."""

    def __init__(self, bench: Callable[..., SimpleNamespace]) -> None:
        self._bench = bench  # the fixture

    def run(self, text: str, language: str = "sh") -> str:
        """Run a script of sh, line by line, or of Python, which must succeed, and return what it prints."""
        if language == "sh":
            return "".join(map(self._line, filter(None, text.replace("\\\n", " ").splitlines())))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "the page", "exec"), {"__name__": "__main__"})
        return printed.getvalue()

    def _line(self, line: str) -> str:
        program, *words = shlex.split(line)
        words = [str(name) for word in words for name in (sorted(Path().glob(word)) if "*" in word else [word])]
        if program == "bench":
            done = self._bench(*words)
        elif (program, words[:2]) == ("python", ["-m", "pytest"]):
            done = _pytest(words[2:])
        else:
            command = [{"python": sys.executable}.get(program, program), *words]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


def _pytest(words: list[str]) -> SimpleNamespace:
    """Run pytest in the current folder within this process, which has imported what its tests need."""
    without = [f"-pno:{name}" for name in ("cacheprovider", "faulthandler", "timeout", "xdist")]
    before = dict(sys.modules), list(sys.path)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            code = pytest.main([*words, *without])
    finally:
        sys.path[:] = before[1]
        for name in sys.modules.keys() - before[0].keys():
            if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(Path.cwd()):
                sys.modules.pop(name)
    return SimpleNamespace(returncode=int(code), stdout=printed.getvalue(), stderr="")
