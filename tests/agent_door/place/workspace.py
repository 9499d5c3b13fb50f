"""A workspace with agents to talk to over the door: models that are functions, a tool that notes what it did."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from actors import Plugin
from actors.models.port import ModelError, ModelInfo
from actors.tools.tool import Tool, ToolCallInfo, ToolResult
from events.conversations import Citation
from events.models import ModelAnswer, ModelRequest, ToolUse, Usage
from infra.models.scripted import Scripted


def _said(request: ModelRequest) -> str:
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")


def _results(request: ModelRequest) -> list[str]:
    """What tools said since the person spoke."""
    found: list[str] = []
    for message in reversed(request.messages):
        if message.role == "user":
            break
        if message.role == "tool":
            found.insert(0, message.text)
    return found


def parrot(request: ModelRequest) -> ModelAnswer:
    """`tale N`: N words; `note TEXT`: uses the tool; `boom`: fails; anything else is repeated."""
    said = _said(request)
    word, _, rest = said.partition(" ")
    if results := _results(request):
        return ModelAnswer(f"the tool said: {'; '.join(results)}")
    match word:
        case "tale":
            return ModelAnswer(" ".join(f"w{n}" for n in range(int(rest))), usage=Usage(7, int(rest)))
        case "note":
            return ModelAnswer("I note it.", [ToolUse("u1", "desk.note", msgspec.json.encode({"text": rest}).decode())])
        case "boom":
            raise ModelError("invalid", "the model would not")
        case _:
            return ModelAnswer(f"you said {said}", usage=Usage(5, 3, cache_read=2))


class Birds(Scripted):
    """Priced by nobody: what it costs is not known."""

    name = "birds"
    priced_as = ""

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo("parrot", "birds")]


class Note(msgspec.Struct, frozen=True):
    text: str


def _note(given: Note, call: ToolCallInfo) -> ToolResult:
    with Path(os.environ["THESPIS_TEST_NOTES"]).open("a") as file:
        file.write(f"{call.key} {given.text}\n")
    return ToolResult(
        {"noted": given.text}, f"noted {given.text}", citations=[Citation("notes.txt", (1, 1), "ab" * 32)]
    )


def _preview(given: Note) -> dict[str, str]:
    return {"diff": f"+{given.text}"}


NOTE = Tool(
    "desk.note", _note, description="Note something.", input=Note, risk="write-reversible", effect_class="irreversible",
    roles={"text": "body"}, preview=_preview,
)  # fmt: skip


plugin = Plugin(tools=[NOTE], models=[Birds({"parrot": parrot}, pause=0.01)])
