"""Workspaces to begin with, written from templates: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from events.errors import Conflict


def write_template(name: str, directory: Path) -> list[Path]:
    """Write a template into a directory, which is made if need be and must be empty; returns the files.

    Raises Conflict, OSError; nothing that was made is then left.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        what = "is not empty" if directory.is_dir() else "is a file"
        raise Conflict(f"{directory} {what}", hint="name a directory that is empty or not there yet")
    made: list[Path] = []
    try:
        for source, target in _template(files("gateway").joinpath("templates", name), directory):
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
    return [path for path in made if path.is_file()]


def _template(folder: Traversable, target: Path) -> Iterator[tuple[Traversable, Path]]:
    """Every file of the template and where it goes."""
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _template(entry, target / entry.name)
        elif entry.is_file():
            yield entry, target / entry.name
