"""The command tree: built from the list in `commands`, each command imported only when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, cast

import click

from gateway.cli.commands import COMMANDS

_PACKAGE: Final = "gateway.cli.commands"

PATHS: Final = {path: help for section in COMMANDS.values() for path, help in section.items()}
"""Command path → its one line, nouns included."""


def module_of(path: str) -> str:
    """The module that holds the command `noun verb`."""
    return f"{_PACKAGE}.{path.replace(' ', '_').replace('-', '_')}"


def children(path: str) -> dict[str, str]:
    """The names right below a path (the root is the empty path) with their one lines, in the order of the list."""
    prefix = f"{path} " if path else ""
    return {
        line.removeprefix(prefix): help
        for line, help in PATHS.items()
        if line.startswith(prefix) and " " not in line.removeprefix(prefix)
    }


class Command(click.Command):
    """A command; every one has `--debug`."""

    def __init__(self, name: str | None, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.params.append(_debug_option())


class Group(click.Group):
    """Commands that are listed from their one lines and imported when they are called."""

    def __init__(self, name: str, path: str = "", **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.params.append(_debug_option())
        self.path = path
        self.commands = {name: click.Command(name, help=help) for name, help in children(path).items()}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported; None for a name that is not in the list."""
        if cmd_name not in self.commands:
            return None
        path = f"{self.path} {cmd_name}".strip()
        if children(path):
            return Group(cmd_name, path, help=PATHS[path])
        found = cast(click.Command, import_module(module_of(path)).command)
        found.name = cmd_name
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the list."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The one lines; those of the root by section."""
        width = max(len(name) for name in self.commands)
        sections: Mapping[str, Mapping[str, str]] = {"Commands": children(self.path)} if self.path else COMMANDS
        for title, lines in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), help) for name, help in lines.items() if " " not in name])


def command(**attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorator: a command of ours. Its name is that of its line in the list."""
    return click.command(cls=Command, **attributes)


def _debug_option() -> click.Option:
    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_root().meta["debug"] = True

    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=remember,
        envvar="THESPIS_DEBUG",
        help="Show the traceback of an error.",
    )
