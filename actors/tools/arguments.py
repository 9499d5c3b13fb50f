"""Arguments as somebody (a model) wrote them: JSON read strictly, held against the schema, written one way."""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

import msgspec

from actors.workflows.inputs import checked
from events.errors import InvalidData
from events.tools import ToolDefinition

LARGEST: Final = 1_000_000
"""Characters of the arguments of a call."""
DEEPEST: Final = 32
"""Levels of maps and lists in them."""
LONGEST: Final = 2_000
"""Characters of what is said to be wrong with them."""

_INTEGERS: Final = range(-(2**63), 2**63)
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"')
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def parse(text: str) -> dict[str, Any]:
    """The arguments; nothing at all are none. Raises InvalidData: for what is no JSON object, and for what one reader
    would take for one thing and another reader for another: keys that are there twice, NaN, numbers too large, halves
    of characters, too much and too deep."""
    if len(text) > LARGEST:
        raise InvalidData(f"{len(text)} characters of arguments, {LARGEST} are allowed")
    if not text.strip():
        return {}
    if _depth(text) > DEEPEST:
        raise InvalidData(f"arguments are nested deeper than {DEEPEST} levels")
    try:
        value: Any = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_number
        )
        _encode(value)
    except RecursionError:
        raise InvalidData(f"arguments are nested deeper than {DEEPEST} levels") from None
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise InvalidData(f"the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidData("arguments are a JSON object")
    return cast("dict[str, Any]", value)


def canonical(arguments: dict[str, Any]) -> str:
    """Arguments as JSON with keys in order and no spaces: the same text for equal arguments."""
    return _encode(arguments).decode()


def fitting(definition: ToolDefinition, hash: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults of the schema. Raises InvalidData with all that does not fit it."""
    filled, problems = checked(f"tool {hash}", definition.parameters, arguments)
    if problems:
        said = "; ".join(problem.replace("inputs", "arguments", 1) for problem in problems)
        raise InvalidData(said[:LONGEST])
    return filled


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in re.findall(r"[\[\]{}]", _STRINGS.sub("", text)):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _integer(text: str) -> int:
    number = int(text) if len(text) <= 20 else 2**64
    if number not in _INTEGERS:
        raise ValueError(f"{text[:30]} is too large a number")
    return number


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:30]} is too large a number")
    return number
