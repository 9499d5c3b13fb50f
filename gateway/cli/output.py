"""Printing what was read: a table for people, JSON, JSON lines or YAML for programs."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import click
import msgspec

FORMATS: Final = ("table", "json", "jsonl", "yaml")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_encode = msgspec.json.Encoder().encode


def output_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `-o table|json|jsonl|yaml`, passed as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        envvar="THESPIS_OUTPUT",
        show_default=True,
        help="How to print what was read.",
    )(function)


def document_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `-o json|jsonl|yaml`, passed as `output`: for what is a document and no table."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS[1:]),
        default="json",
        show_default=True,
        help="How to print it.",
    )(function)


def printable(text: str) -> str:
    """The text without anything a terminal would obey: events may come from strangers."""
    return _CONTROL.sub(
        lambda m: f"\\x{ord(m.group()):02x}" if ord(m.group()) < 256 else f"\\u{ord(m.group()):04x}", text
    )


def when(microseconds: int) -> str:
    """A time of the log in RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cell(value: Any) -> str:
    """One value as a cell of a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return printable(value)
        case int() | float():
            return str(value)
        case _:
            return printable(_encode(_readable(value)).decode())


def _readable(value: Any) -> Any:
    """The same with a word in the place of each personal field that is sealed or erased."""
    if isinstance(value, dict):
        tree = cast("dict[str, Any]", value)
        if len(tree) == 1 and (mark := next(iter(tree))) in ("$sealed", "$erased"):
            return mark[1:]
        return {name: _readable(part) for name, part in tree.items()}
    return [_readable(part) for part in cast("list[Any]", value)] if isinstance(value, list) else value


def emit(value: Any, output: str) -> None:
    """Print a whole JSON-ready value: `json` indented, `jsonl` one line (a list: one line per item), `yaml`."""
    match output:
        case "json":
            _write(msgspec.json.format(_encode(value), indent=2).decode())
        case "yaml":
            import yaml

            _write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n"))
        case _:
            for item in cast(list[Any], value) if isinstance(value, list) else [value]:
                _write(_encode(item).decode())


def rows(items: Sequence[Mapping[str, Any]], columns: Sequence[str], output: str, *, empty: str = "") -> None:
    """Print a list: for people the named columns as a table, for programs whole items.

    `empty` is said on standard error when there is nothing to show in the table.
    """
    if output != "table":
        emit(list(items), output)
    elif items:
        table(columns, ([cell(item.get(c)) for c in columns] for item in items))
    elif empty:
        click.echo(empty, err=True)


def fields(item: Mapping[str, Any], output: str) -> None:
    """Print one thing: for people one `name  value` per line, nested values as indented JSON."""
    if output != "table":
        emit(dict(item), output)
        return
    width = max((len(name) for name in item), default=0)
    for name, value in item.items():
        text = cell(value)
        if isinstance(value, dict | list) and len(text) > 60:
            text = msgspec.json.format(_encode(_readable(value)), indent=2).decode()
            text = text.replace("\n", "\n" + " " * (width + 2))
        _write(f"{click.style(printable(name).ljust(width), bold=True)}  {text}")


def table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; on a terminal the last one is cut to the width of the window."""
    body = [list(row) for row in cells]
    widths = [max(len(name), *(len(row[i]) for row in body)) if body else len(name) for i, name in enumerate(columns)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for row in _aligned([[c.upper().replace("_", " ") for c in columns]], widths, room):
        _write(click.style(row, bold=True))
    for row in _aligned(body, widths, room):
        _write(row)


def _aligned(body: Iterable[Sequence[str]], widths: Sequence[int], room: int) -> Iterable[str]:
    for row in body:
        text = "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        yield text if not room or len(text) <= room else text[: room - 1] + "…"


def _write(text: str) -> None:
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)
