"""Tokens, estimated. The vocabularies of models are large and mostly not public: nothing is downloaded to count.

An estimate reads the text in pieces: a word costs one token for every five letters begun (three where letters carry
marks), a run of digits one per three, a sign or a character of a script without spaces one each. It is within a fifth
or so of what usual vocabularies make of English and of code, and rather too high for other languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from events.models import ChatMessage, ModelRequest, ToolSpec

PER_MESSAGE: Final = 4
"""Tokens around a message: its role and its ends."""
PER_TOOL: Final = 8
MARGIN: Final = 1.25
"""How much more than estimated a prompt may have, for upper estimates."""

_PIECES: Final = re.compile(
    r"(?P<ascii> ?[A-Za-z]+)|(?P<digits>\d+)|(?P<word>[^\W\d_]+)|(?P<sign>[^\s\w]|_)|(?P<gap>\s+)"
)
_DENSE: Final = re.compile(r"[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


def of_text(text: str) -> int:
    """Tokens of a text; 0 only for an empty one."""
    count = 0
    for found in _PIECES.finditer(text):
        piece = found.group()
        match found.lastgroup:
            case "ascii":
                count += -(-len(piece.lstrip()) // 5) if len(piece) > 2 else 1
            case "digits":
                count += -(-len(piece) // 3)
            case "word":
                dense = len(_DENSE.findall(piece))
                count += dense + -(-(len(piece) - dense) // 3)
            case "sign":
                count += 1 if piece.isascii() else 2
            case _:
                count += piece.count("\n") if "\n" in piece else len(piece) // 4
    return count or (1 if text else 0)


def of_messages(messages: Iterable[ChatMessage]) -> int:
    """Tokens of messages, with what stands around each."""
    count = 0
    for message in messages:
        count += PER_MESSAGE + of_text(message.text) + of_text(message.name)
        count += sum(PER_TOOL + of_text(use.name) + of_text(use.arguments) for use in message.tool_uses)
    return count


def of_tools(tools: Iterable[ToolSpec]) -> int:
    """Tokens of what a model is told of tools."""
    return sum(PER_TOOL + of_text(tool.name) + of_text(tool.description) + _of_json(tool.parameters) for tool in tools)


def of_request(request: ModelRequest) -> int:
    """Tokens of a whole prompt."""
    schema = request.response_schema
    more = _of_json(schema) if schema is not None else 0
    return of_messages(request.messages) + of_tools(request.tools) + more


def _of_json(value: Any) -> int:
    return of_text(msgspec.json.encode(value).decode())
