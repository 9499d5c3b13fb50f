"""`thespis new`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--template",
    type=click.Choice(["new", "digest", "librarian"]),
    default="new",
    show_default=True,
    help="new: an actor and a projection. digest: a workflow that makes a report of a folder of text files. "
    "librarian: an agent that answers about the files of a folder.",
)
def command(directory: Path, template: str) -> None:
    """Write a small workspace into DIRECTORY; those with code of their own have passing tests.

    The directory is made if need be, and must be empty.
    """
    from gateway.cli.templates import write_template

    for path in write_template(template, directory):
        click.echo(f"wrote {path}", err=True)
    tried = "thespis chat librarian, once it is up" if template == "librarian" else "python -m pytest"
    click.echo(f"next: cd {directory}; thespis up --workspace .; {tried}")
