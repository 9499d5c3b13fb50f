"""The README tells every command, every option it names exists, and every exit status is explained."""

from __future__ import annotations

import re
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
