"""Inputs of a run on the command line: `--input name=value`, and a file of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from events.errors import InvalidData


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` as a mapping. Raises UsageError."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} {text!r} is not NAME=VALUE")
        if name in found:
            raise click.UsageError(f"{option} names {name!r} twice")
        found[name] = value
    return found


def inputs(given: Sequence[str], file: str | None, option: str = "--input") -> dict[str, Any]:
    """The inputs: those of the file, then those named. A value that is JSON is that, any other is text.

    Raises InvalidData, OSError, UsageError.
    """
    found = _from_file(file) if file is not None else {}
    for name, value in pairs(given, option).items():
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


def _from_file(file: str) -> dict[str, Any]:
    import yaml

    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        value = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidData(f"{file} is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise InvalidData(f"{file} is not an object of inputs", hint="write name: value, or a JSON object")
    return {str(name): inner for name, inner in cast("dict[Any, Any]", value).items()}
