"""`thespis new`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--template",
    type=click.Choice(["new", "digest"]),
    default="new",
    show_default=True,
    help="new: an actor and a projection. digest: a workflow that makes a report of a folder of text files.",
)
def command(directory: Path, template: str) -> None:
    """Write a small workspace into DIRECTORY, with passing tests.

    The directory is made if need be, and must be empty.
    """
    from events.errors import Conflict

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        what = "is not empty" if directory.is_dir() else "is a file"
        raise Conflict(f"{directory} {what}", hint="name a directory that is empty or not there yet")
    made: list[Path] = []
    try:
        for source, target in _template(files("gateway").joinpath("templates", template), directory):
            for folder in reversed([target.parent, *target.parent.parents]):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            made.append(target)
            target.write_text(source.read_text("utf-8"), "utf-8")
    except BaseException:
        for path in reversed(made):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        raise
    for path in made:
        if path.is_file():
            click.echo(f"wrote {path}", err=True)
    click.echo(f"next: cd {directory}; python -m pytest; thespis up --workspace .")


def _template(folder: Traversable, target: Path) -> Iterator[tuple[Traversable, Path]]:
    """Every file of the template and where it goes."""
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _template(entry, target / entry.name)
        elif entry.is_file():
            yield entry, target / entry.name
