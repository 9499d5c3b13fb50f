"""The script `files`: looks a question up in a folder by the tools it is given, and quotes lines with their places.

A question is searched for word by word, the best hit is read, and the lines that share most words with the question are
quoted as `path:first-last`. `write NAME: TEXT` and `write TEXT to NAME` ask for the tool that writes. To anything else
it says what it is.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec, ToolUse
from infra.models import script_results as results

WHO: Final = (
    "I am the scripted stand-in for a language model. I can look things up in the files here (ask a question) and write"
    " one (`write NAME: TEXT`). For real answers, set MISTRAL_API_KEY or another provider's key."
)
SEARCHES: Final = 4
RANGES: Final = {"first": "last", "start": "end", "first_line": "last_line", "start_line": "end_line"}
"""What the lines to read may be called: from, to."""

_ASKS: Final = re.compile(
    r"\?|^\s*(what|where|who|whom|whose|which|when|how|why|find|search|show|tell|list|does|do|is|are|can|explain|look)\b",
    re.IGNORECASE,
)
_WRITE: Final = (
    re.compile(r"^\s*write\s+[`'\"]?(?P<name>[^\s:`'\"]+)[`'\"]?\s*:\s*(?P<text>.+)$", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"^\s*write\s+(?P<text>.+?)\s+(?:in)?to\s+[`'\"]?(?P<name>[^\s`'\"]+?)[`'\"]?\.?\s*$", re.IGNORECASE | re.DOTALL
    ),
)
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        """a about all an and any are as at be by can did do does explain file files find folder for from give has have
        how i in is it its list look many me much my of on or please say says search show tell that the their there
        these they this to was what when where which who whom whose why will with write you your""",
    )
)


def files(request: ModelRequest) -> ModelAnswer:
    """The next step of the turn: a tool to use, or the answer."""
    said, turn = _turn(request.messages)
    tools = {verb: tool for tool in request.tools if (verb := _verb(tool.name))}
    done = _done(turn)
    if request.tool_choice == "none":
        tools = {}
    if (wanted := _to_write(said)) is not None and "write" in tools:
        return _written(tools["write"], *wanted, done)
    words = words_of(said)
    if words and _ASKS.search(said) and "search" in tools:
        return _looked_up(tools, words, done)
    return ModelAnswer(WHO)


def words_of(text: str) -> list[str]:
    """The words that carry a question, in its order, each once."""
    return [
        word for word in dict.fromkeys(re.findall(r"[\w-]+", text.lower())) if word not in _COMMON and len(word) > 1
    ]


def _looked_up(tools: dict[str, ToolSpec], words: list[str], done: list[tuple[ToolUse, str]]) -> ModelAnswer:
    searches = [result for use, result in done if use.name == tools["search"].name]
    hits = [hit for result in searches for hit in results.hits(result)]
    if not hits:
        queries = [" ".join(words), *sorted(words, key=len, reverse=True)]
        queries = list(dict.fromkeys(queries))[:SEARCHES]
        if len(searches) < len(queries):
            return _use(tools["search"], ("query", "words", "pattern", "text"), queries[len(searches)])
        return ModelAnswer(f"I found nothing about {', '.join(words)} in the files. {_complaint(searches)}".strip())
    best = max(hits, key=lambda hit: (results.score(hit.text, words), results.score(hit.path, words)))
    reads = [(_first(use), result) for use, result in done if "read" in tools and use.name == tools["read"].name]
    if "read" in tools and not reads:
        return _use(tools["read"], ("path", "file", "name"), best.path, around=best.line)
    found = results.passage(reads[0][1], words, reads[0][0]) if reads else None
    if found is None:
        place = f"{best.path}:{best.line}-{best.line}"
        return ModelAnswer(f"The file says ({place}):\n\n> {best.text.strip()}\n\n`{place}`")
    quoted = "\n".join(f"> {line}" for line in found.lines)
    place = f"{best.path}:{found.first}-{found.first + len(found.lines) - 1}"
    return ModelAnswer(f"This is what I found in {best.path}:\n\n{quoted}\n\n`{place}`")


def _complaint(texts: list[str]) -> str:
    """What the search said last when it is an error, to be passed on."""
    last = texts[-1] if texts else ""
    return f"The search said: {last[:200]}" if "error" in last.lower() or "denied" in last.lower() else ""


def _first(use: ToolUse) -> int:
    """The line that was read from on."""
    arguments: dict[str, Any] = msgspec.json.decode(use.arguments)
    found = next((arguments[name] for name in RANGES if isinstance(arguments.get(name), int)), 1)
    return max(1, int(found))


def _written(tool: ToolSpec, name: str, text: str, done: list[tuple[ToolUse, str]]) -> ModelAnswer:
    result = next((result for use, result in reversed(done) if use.name == tool.name), None)
    if result is None:
        return _use(tool, ("path", "file", "name"), name, text=text)
    return ModelAnswer(f"I asked for {name} to be written. {tool.name} said: {result[:500]}")


def _use(tool: ToolSpec, names: tuple[str, ...], value: str, *, text: str = "", around: int = 0) -> ModelAnswer:
    """A use of a tool, with the arguments called as its schema calls them."""
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    arguments: dict[str, Any] = {_named(properties, names): value}
    if text:
        arguments[_named(properties, ("text", "content", "contents", "data"))] = text
    for first, last in RANGES.items():
        if around and first in properties and last in properties:
            arguments |= {first: max(1, around - 10), last: around + 20}
    return ModelAnswer(tool_uses=[ToolUse("", tool.name, msgspec.json.encode(arguments).decode())], finish="tools")


def _named(properties: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in properties), names[0])


def _turn(messages: list[ChatMessage]) -> tuple[str, list[ChatMessage]]:
    """What the person said last, and what happened since."""
    last = max((n for n, message in enumerate(messages) if message.role == "user"), default=-1)
    return (messages[last].text if last >= 0 else ""), messages[last + 1 :]


def _done(turn: list[ChatMessage]) -> list[tuple[ToolUse, str]]:
    answers = {message.tool_use: message.text for message in turn if message.role == "tool"}
    return [(use, answers[use.id]) for message in turn for use in message.tool_uses if use.id in answers]


def _verb(name: str) -> str:
    found = re.search(r"files?[._/-](search|read|write)$", name)
    return found.group(1) if found else ""


def _to_write(text: str) -> tuple[str, str] | None:
    """(name, text) of what is to be written."""
    for pattern in _WRITE:
        if found := pattern.match(text):
            content = found["text"].strip()
            if len(content) > 1 and content[0] == content[-1] and content[0] in "`'\"":
                content = content[1:-1]
            return found["name"], content
    return None
