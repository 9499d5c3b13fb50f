"""`thespis new`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import click

from gateway.cli.tree import command as thespis_command

OURS = frozenset({"actors", "events", "gateway", "infra", "projections", "pytest"})
"""Packages that a workspace's tests import, and that a directory of the same name would hide from them."""


@thespis_command()
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Write a small workspace into DIRECTORY: an actor, a projection and a passing test.

    The directory is made if need be, and must be empty.
    """
    from events.errors import Conflict, InvalidName

    name = directory.resolve().name
    if name in OURS or name in sys.modules:
        raise InvalidName(
            f"a workspace called {name!r} would hide the Python package of that name", hint="choose another name"
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        what = "is not empty" if directory.is_dir() else "is a file"
        raise Conflict(f"{directory} {what}", hint="name a directory that is empty or not there yet")
    made = [path for path in [directory, *directory.parents] if not path.exists()]
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for source in sorted(files("gateway").joinpath("templates", "new").iterdir(), key=lambda file: file.name):
            if source.is_file():
                target = directory / source.name
                written.append(target)
                target.write_text(source.read_text("utf-8"), "utf-8")
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        for path in made:
            if path.is_dir():
                path.rmdir()
        raise
    for path in written:
        click.echo(f"wrote {path}", err=True)
    click.echo(f"next: cd {directory}; python -m pytest; thespis up --workspace .")
