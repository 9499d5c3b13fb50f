"""The README tells every command, every option it names exists, and every exit status is explained."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import click
import pytest

from gateway import problems
from gateway.cli.app import BROKEN_PIPE, INTERRUPTED
from gateway.cli.tree import PATHS, children, module_of
from tests.cli.conftest import ROOT

README = (ROOT / "gateway" / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| `thespis ([^|]*(?:\\\|[^|]*)*)\|", README, re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in PATHS if not children(path)])
def test_every_command_has_a_row(path: str) -> None:
    assert [row for row in ROWS if row == f"{path}` " or row.startswith((f"{path} ", f"{path}`"))]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_tells_a_command_and_options_that_exist(row: str) -> None:
    path = max((path for path in PATHS if row.startswith(path)), key=len)
    command = import_module(module_of(path)).command
    assert isinstance(command, click.Command)
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", row)) <= known


LINES = [
    (str(file.relative_to(ROOT)), line)
    for file in sorted(ROOT.rglob("README.md")) if "/." not in f"/{file.relative_to(ROOT)}"
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```", file.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for line in re.split(r"\n|&+", block) if line.strip().startswith("thespis ")
]  # fmt: skip


@pytest.mark.parametrize(("file", "line"), LINES)
def test_every_command_of_an_example_can_be_read(file: str, line: str) -> None:
    """As click reads it: every word is a command or an argument, every option exists and takes what it is given."""
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    path = max((path for path in PATHS if words[: path.count(" ") + 1] == path.split()), key=len, default="")
    assert path, f"{file}: {line}"
    assert not children(path), f"{file}: {line} names no command"
    import_module(module_of(path)).command.make_context(path, words[path.count(" ") + 1 :])


def test_every_exit_status_is_explained() -> None:
    table = README.split("## Exit statuses")[1].split("##")[0]
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert told == {row.exit for row in problems.PROBLEMS.values()} | {
        problems.OK, problems.FAILED, problems.USAGE, INTERRUPTED, BROKEN_PIPE,
    }  # fmt: skip


def test_every_variable_that_an_option_reads_is_told() -> None:
    read = {"THESPIS_TOKEN", "NO_COLOR", "DATABASE_URL"}
    for path in PATHS:
        if not children(path):
            for parameter in import_module(module_of(path)).command.params:
                read |= {parameter.envvar} if isinstance(parameter.envvar, str) else set()
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_whatever_reads_can_be_read_by_programs() -> None:
    verbs = ("list", "show", "tail", "query", "schema", "lineage", "replay", "doctor")
    for path in PATHS:
        if not children(path) and path.split()[-1] in verbs:
            options = {
                option for parameter in import_module(module_of(path)).command.params for option in parameter.opts
            }
            assert {"-o", "--output"} <= options
