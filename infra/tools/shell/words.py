"""What the shell makes of one word, as far as that can be told before it runs."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from infra.tools.shell.parsed import Word

_LIVE: Final = re.compile(r"(?<!\\)(?:\\\\)*[*?\[\]~]")
_ESCAPE: Final = re.compile(r"\\(\n|.)", re.DOTALL)
_IN_QUOTES: Final = re.compile(r"\\([$`\"\\\n])")


def text(node: Node) -> str:
    """Its source."""
    return (node.text or b"").decode()


def word(node: Node) -> Word:
    """A word of a command, an assignment or a redirection."""
    parts = [None] if _braces(node) else _parts(node)
    prefix = ""
    for part in parts:
        if part is None:
            break
        prefix += part
    value = None if None in parts else prefix
    return Word(text(node), value, prefix)


def _parts(node: Node) -> list[str | None]:
    match node.type:
        case "word" | "number" | "command_name" | "variable_name" if not node.children:
            return [_plain(text(node))]
        case "command_name" | "concatenation":
            return [part for child in node.children for part in _parts(child)]
        case "raw_string":
            return [text(node)[1:-1]]
        case "string":
            return [_quoted(node)]
        case _:
            return [None]


def _plain(source: str) -> str | None:
    """Outside of quotes. A pattern, a tilde or braces make what only the running shell knows."""
    if _LIVE.search(source):
        return None
    return _ESCAPE.sub(lambda found: "" if found[1] == "\n" else found[1], source)


def _quoted(node: Node) -> str | None:
    if any(child.is_named and child.type != "string_content" for child in node.children):
        return None
    source = text(node)
    if not source.startswith('"'):
        return None  # $"…" is translated
    return _IN_QUOTES.sub(lambda found: "" if found[1] == "\n" else found[1], source[1:-1])


def _braces(node: Node) -> bool:
    """Whether there are braces outside of quotes, which make several words of one; {} alone is only a word."""
    bare = "".join(text(child) if child.type == "word" else "." for child in node.children or [node])
    return node.type != "string" and bool(set("{}") & set(bare.replace("{}", "")))
