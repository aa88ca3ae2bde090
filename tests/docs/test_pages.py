"""The pages: their links lead somewhere, and each of their blocks runs in a test or is read as `bench` reads it.

A block that repeats what another test runs is not run again: its commands are parsed, and their options, methods,
datasets and backbones must exist.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from bench import method
from bench.cli import app
from bench.config import RunConfig, build
from bench.plugins import registry
from bench.plugins.spec import parse, split_list
from tests.helpers import records
from tests.helpers.pages import Block, blocks, broken_links, lines_of
from tests.helpers.paths import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
RUN = {  # the tests that run the blocks of these pages
    "adding-a-dataset": "tests/plugins/test_pages.py",
    "adding-a-method": "tests/plugins/test_adding_a_method.py",
    "adding-heads": "tests/plugins/test_pages.py",
    "backbones": "tests/backbones/test_own_network.py",
    "export": "tests/export/test_page.py",
    "external-logits": "tests/finetune/test_page.py",
    "networks": "tests/finetune/test_page.py",
    "python": "tests/api/test_page.py",
    "submitting": "tests/trials/test_pack.py",
    "text": "tests/cli/test_text_page.py",
    "tutorial": "tests/docs/test_tutorial.py",
}
READ = [page for page in PAGES if page.stem not in RUN and list(blocks(page))]
NAMES = {  # what the Python of a page expects to be there
    "checking-a-method": lambda: {},
    "statistics": lambda: {"records_of_one_setting": records.records(("a", "b"), samples=60)},
}
PROGRAMS = ("bench", "python", "python3", "pip", "pytest", "ruff", "mypy", "ray")
KINDS = {"methods": "methods", "dataset": "datasets", "backbone": "backbones"}
INDENTED = re.compile(r"^    bench .*\n(?: {4}.*\n)*", re.MULTILINE)
COMMAND = typer.main.get_command(app)


def commands(page: Path) -> list[list[str]]:
    """Return the words of every `bench …` on a page, in frames and in indented blocks."""
    found = list(blocks(page))
    scripts = [block.text for block in found if block.language == "sh"]
    scripts += INDENTED.findall(re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    scripts += re.findall(r"^ *(?:entrypoint: )?(bench .*)", "".join(b.text for b in found if b.language != "sh"), re.M)
    filled = (script.replace("$head:$port", "head:6379").replace("$METHODS", "jeidnn") for script in scripts)
    return [words for script in filled for words in lines_of(script) if words[0] == "bench"]


def given(words: list[str]) -> dict[str, object]:
    """Return the options of a command as the command line reads them; what it refuses is raised."""
    command, rest = COMMAND, words[1:]
    with COMMAND.make_context("bench", rest, resilient_parsing=True) as context:
        while hasattr(command, "commands"):
            name, *rest = rest
            command = command.commands[name]
        return command.make_context(name, list(rest), parent=context).params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 1000


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_every_command_of_a_page_is_valid(page):
    for words in commands(page):
        options = given(words)
        settings = {name: options[name] for name in RunConfig.model_fields if options.get(name) not in (None, (), [])}
        if words[1] in ("run", "plan", "tune"):
            build(settings, shlex.join(words))
        for name, kind in KINDS.items() if not options.get("plugin") else ():  # a plugin may define any name
            known = {*registry.plugins(kind), "all", "my_rule"}  # the last is that of a reader's package
            specs = split_list(str(options.get(name) or ""))
            assert {parse(spec).name for spec in specs if not set(":/") & set(spec)} <= known, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_with_blocks_has_a_test_that_runs_or_reads_them(page):
    if page.stem in RUN:
        assert f'"{page.name}"' in (ROOT / RUN[page.stem]).read_text(encoding="utf-8")
    else:
        assert (page in READ) == ("```" in page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_every_block_is_valid(page):
    for block in blocks(page):
        check(page, block)


def check(page: Path, block: Block) -> None:
    """Run a block of Python, and read any other."""
    match block.language:
        case "python" if page.stem == "design":  # the contract in short
            assert all(hasattr(method, name) for name in re.findall(r"^class (\w+)", block.text, re.MULTILINE))
        case "python":
            text = block.text.replace("my_method", "global_thresh", 2)
            exec(compile(text, page.name, "exec"), NAMES[page.stem]())
        case "sh":
            assert {words[0] for words in lines_of(block.text) if "=" not in words[0]} <= set(PROGRAMS)
        case "bash":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
        case "yaml":
            found = yaml.safe_load(block.text)
            assert found["kind"] == "RayJob" if "kind" in found else build(found, page.name)
        case "toml":
            tomllib.loads(block.text)
        case language:
            assert language == "bibtex"
