"""The pages of docs/ as tests run them: their code blocks, their links, and the commands that they call."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

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
    """Runs commands of a page in a folder of their own, where `bench` and `python` are those of the tests."""

    def __init__(self, at: Path, environment: Mapping[str, str]) -> None:
        tools, self.folder = at / "tools", at / "work"
        tools.mkdir()
        self.folder.mkdir()
        for name, words in {"bench": "-m bench", "python": ""}.items():
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (tools / name).chmod(0o755)
        self._variables = {**environment, "PATH": f"{tools}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(self, text: str, language: str = "sh") -> str:
        """Run a script of sh or Python, which must succeed, and return what it prints."""
        command = ["sh", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        run = subprocess.run(
            command, cwd=self.folder, env=self._variables, capture_output=True, text=True, timeout=600, check=False
        )
        assert run.returncode == 0, f"{text}\n{run.stdout}{run.stderr}"
        return run.stdout
