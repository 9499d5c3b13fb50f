"""Agents for hosts that are killed: a model that is a function, two tools that note each time they are performed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from actors import Plugin
from actors.models.port import ModelInfo
from actors.tools.tool import Tool, ToolCallInfo
from events.models import ModelAnswer, ModelRequest, ToolUse, Usage
from infra.models.scripted import Scripted

_ORDER = re.compile(r"(ring|post) (\w+)")


def obeys(request: ModelRequest) -> ModelAnswer:
    """`ring X` and `post X` use the tools, all of a message at once; then it says what they said, or what was said."""
    results: list[str] = []
    for message in reversed(request.messages):
        if message.role == "user":
            break
        if message.role == "tool":
            results.insert(0, message.text)
    said = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    if results:
        return ModelAnswer("then " + ", ".join(results), usage=Usage(10, 4))
    orders = _ORDER.findall(said)
    if not orders:
        return ModelAnswer(f"you said {said}", usage=Usage(5, 3))
    uses = [
        ToolUse(f"u{n}", f"bell.{name}", msgspec.json.encode({"text": text}).decode())
        for n, (name, text) in enumerate(orders)
    ]
    return ModelAnswer("", uses, "tools", Usage(6, 2))


class Obedient(Scripted):
    """The provider."""

    name = "obedient"

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("one", "obedient")]


class Text(msgspec.Struct, frozen=True):
    text: str


def _noted(kind: str, given: Text, call: ToolCallInfo) -> str:
    line = f"{kind} {call.call} {given.text}\n".encode()
    file = os.open(Path(os.environ["THESPIS_TEST_BELL"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)  # one write: it is there whole, or not at all
    finally:
        os.close(file)
    return f"{kind} {given.text}"


def _ring(given: Text, call: ToolCallInfo) -> str:
    """Ring the bell: once it rang, it rang."""
    return _noted("rang", given, call)


def _post(given: Text, call: ToolCallInfo) -> str:
    """Send a letter: people agree before."""
    return _noted("posted", given, call)


def _came(given: Text, call: ToolCallInfo) -> tuple[str, str]:
    """The post office knows what it was given."""
    said = Path(os.environ["THESPIS_TEST_BELL"])
    known = said.exists() and f"posted {call.call} " in said.read_text()
    return ("succeeded", f"posted {given.text}") if known else ("failed", "it never came")


TOOLS = [
    Tool("bell.ring", _ring, input=Text, risk="write-reversible", effect_class="irreversible", roles={"text": "body"}),
    Tool("bell.post", _post, input=Text, risk="write-external", effect_class="irreversible", roles={"text": "body"},
         reconcile=_came),
]  # fmt: skip

plugin = Plugin(tools=TOOLS, models=[Obedient({"one": obeys}, pause=0.005)])
