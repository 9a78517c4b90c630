"""Every command line that README and docs show is one that the command line takes; what runs them is elsewhere."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from service.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(?:\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TAUTEN = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?tauten (.+)$")
BENCHMARK = re.compile(r"^(?:\.venv/bin/)?python -m benchmarks\.(\w+)(.*)$")


def lines(page):
    """Of the fenced blocks, those that are continued joined."""
    for block in FENCED.findall(page.read_text()):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


def shown(pattern):
    found = [(page.name, line) for page in PAGES for line in lines(page) if pattern.match(line)]
    return [pytest.param(line, id=f"{name}: {line[:60]}") for name, line in found]


def parse(command, arguments):
    """Reads the arguments as the command would, and runs nothing."""
    while hasattr(command, "get_command"):
        context = command.make_context(command.name, list(arguments), resilient_parsing=True)
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command = found
    command.make_context(command.name, list(arguments))


@pytest.mark.parametrize("line", shown(TAUTEN))
def test_a_documented_command_is_taken(line):
    if "…" in line:
        pytest.skip("stands for what the reader has")
    parse(typer.main.get_command(app), shlex.split(TAUTEN.match(line)[1], comments=True))


@pytest.mark.parametrize("line", shown(BENCHMARK))
def test_a_documented_benchmark_is_taken(line):
    name, rest = BENCHMARK.match(line).groups()
    module = import_module(
        f"benchmarks.{name}.__main__" if (ROOT / "benchmarks" / name).is_dir() else f"benchmarks.{name}"
    )
    if not hasattr(module, "app"):
        pytest.skip(f"{name} reads its arguments itself")
    parse(typer.main.get_command(module.app), shlex.split(rest, comments=True))


def test_the_pages_show_commands():
    assert len(shown(TAUTEN)) >= 10
    assert len(shown(BENCHMARK)) >= 5
