"""The stand-in: what the script `files` does with tools for a folder, and that it always says what it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.models.port import ModelError
from actors.tools.tool import ToolCallInfo
from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec
from gateway.templates import librarian
from infra.models.scripted import Scripted
from infra.tools.files.tool import files_tools

FILES = {
    "docs/backup.md": "# Backups\n\nBackups are made nightly.\nThey are kept for 30 days.\n\nRestores are rehearsed.",
    "docs/team.md": "Ada looks after the database.\nGrace looks after the bus.",
}
LETTERS = {"type": "string"}


def tool(name: str, **properties: Any) -> ToolSpec:
    return ToolSpec(name, name, {"type": "object", "properties": properties or {"query": LETTERS}})


TOOLS = [
    tool("files.search", query=LETTERS),
    tool("files.read", path=LETTERS, first={"type": "integer"}, last={"type": "integer"}),
    tool("files.write", path=LETTERS, text=LETTERS),
]


def search(query: str, form: str) -> str:
    found = [
        {"path": path, "line": n, "text": line}
        for path, text in FILES.items() for n, line in enumerate(text.splitlines(), 1)
        if any(word in line.lower() for word in query.split())
    ]  # fmt: skip
    if form in ("text", "numbered"):
        return "\n".join(f"{hit['path']}:{hit['line']}: {hit['text']}" for hit in found) or "nothing found"
    if form == "framed":
        return f"<result label=untrusted>\n{msgspec.json.encode({'hits': found}).decode()}\n</result>"
    return msgspec.json.encode(found).decode()


def read(arguments: dict[str, Any], form: str) -> str:
    lines = FILES[arguments["path"]].splitlines()
    first = arguments.get("first", 1)
    part = lines[first - 1 : arguments.get("last", len(lines))]
    if form == "numbered":
        return "\n".join(f"{first + n}: {line}" for n, line in enumerate(part))
    if form == "text":
        return "\n".join(part)
    return msgspec.json.encode({"path": arguments["path"], "first": first, "text": "\n".join(part)}).decode()


async def turn(question: str, form: str = "json", tools: list[ToolSpec] = TOOLS) -> tuple[ModelAnswer, list[Any]]:
    """The last answer of a turn, and the tools that were used on the way."""
    messages = [ChatMessage("system", "Answer about the files."), ChatMessage("user", question)]
    used: list[Any] = []
    for _ in range(8):
        answer = await Scripted().complete("files", ModelRequest(messages, tools=tools))
        if not answer.tool_uses:
            return answer, used
        messages.append(ChatMessage("assistant", answer.text, tool_uses=answer.tool_uses))
        for use in answer.tool_uses:
            arguments = msgspec.json.decode(use.arguments)
            used.append((use.name, arguments))
            match use.name:
                case "files.search":
                    result = search(arguments["query"], form)
                case "files.read":
                    result = read(arguments, form)
                case _:
                    result = '{"written": true}'
            messages.append(ChatMessage("tool", result, tool_use=use.id, name=use.name))
    raise AssertionError("the turn does not end")


@pytest.mark.parametrize("form", ["json", "text", "framed", "numbered"])
async def test_a_question_is_looked_up_and_answered_with_quoted_lines_and_their_place(form: str) -> None:
    answer, used = await turn("How long are backups kept?", form)
    assert [name for name, _ in used] == ["files.search", "files.read"]
    assert used[0][1] == {"query": "long backups kept"}
    assert "> They are kept for 30 days." in answer.text
    assert "`docs/backup.md:3-4`" in answer.text or "`docs/backup.md:4-4`" in answer.text


async def test_the_place_that_is_cited_is_where_the_quoted_lines_stand() -> None:
    answer, _ = await turn("Who looks after the bus?")
    quoted = [line[2:] for line in answer.text.splitlines() if line.startswith("> ")]
    path, _, lines = answer.text.rpartition("`docs/")[2].strip("`").partition(":")
    first, last = (int(n) for n in lines.split("-"))
    assert FILES["docs/" + path].splitlines()[first - 1 : last] == quoted
    assert "Grace looks after the bus." in quoted


async def test_what_is_nowhere_is_said_to_be_nowhere_after_looking_for_each_word() -> None:
    answer, used = await turn("Where is the zebra crossing?")
    assert [arguments["query"] for _, arguments in used] == ["zebra crossing", "crossing", "zebra"]
    assert "found nothing about zebra, crossing" in answer.text


@pytest.mark.parametrize(
    ("said", "name", "text"),
    [
        ("write notes.md: remember the milk", "notes.md", "remember the milk"),
        ("Write 'remember the milk' to docs/notes.md", "docs/notes.md", "remember the milk"),
        ("write plan.txt: one\ntwo", "plan.txt", "one\ntwo"),
    ],
)
async def test_it_asks_to_write_what_it_is_told_to(said: str, name: str, text: str) -> None:
    answer, used = await turn(said)
    assert used == [("files.write", {"path": name, "text": text})]
    assert name in answer.text
    assert '{"written": true}' in answer.text


@pytest.mark.parametrize("said", ["hello", "thank you very much", "", "?", "🙂"])
async def test_to_anything_else_it_says_what_it_is(said: str) -> None:
    answer, used = await turn(said)
    assert "scripted stand-in" in answer.text
    assert used == []


async def test_without_tools_it_says_what_it_is() -> None:
    answer, _ = await turn("How long are backups kept?", tools=[])
    assert "scripted stand-in" in answer.text


async def test_arguments_are_called_as_the_tool_calls_them() -> None:
    tools = [tool("ws_files_search", pattern=LETTERS), tool("files.write", file=LETTERS, content=LETTERS)]
    request = ModelRequest([ChatMessage("user", "write a.txt: hi")], tools=tools)
    answer = await Scripted().complete("files", request)
    assert msgspec.json.decode(answer.tool_uses[0].arguments) == {"file": "a.txt", "content": "hi"}


async def test_the_same_request_has_the_same_answer_down_to_its_ids() -> None:
    request = ModelRequest([ChatMessage("user", "where are backups?")], tools=TOOLS)
    one, other = [await Scripted().complete("files", request) for _ in range(2)]
    assert one == other
    assert one.tool_uses[0].id


async def test_every_answer_says_that_it_is_scripted() -> None:
    answer = await Scripted().complete("echo", ModelRequest([ChatMessage("user", "x")]))
    assert (answer.provider, answer.model) == ("scripted", "scripted:echo")
    assert all("not a language model" in found.note for found in await Scripted().list_models())


async def test_scripts_are_those_it_was_given_and_may_fail() -> None:
    def refuse(_: ModelRequest) -> ModelAnswer:
        raise ModelError("content-filter", "not that")

    provider = Scripted({"refuse": refuse})
    for model, kind in (("refuse", "content-filter"), ("files", "unavailable")):
        with pytest.raises(ModelError) as raised:
            await provider.complete(model, ModelRequest([ChatMessage("user", "x")]))
        assert raised.value.kind == kind


QUESTIONS = {
    "How long may a book be borrowed?": ("loans.md", "A book may be borrowed for four weeks"),
    "When is it open?": ("opening-hours.md", "from 9:00 to 19:00 on weekdays"),
    "What are the rooms?": ("rooms.md", "| "),
    "When is the reading room open on Saturdays?": ("opening-hours.md", "on Saturdays"),
    "What does a book cost that is returned late?": ("loans.md", "20 cents a day"),
    "how many seats has the map room?": ("rooms.md", "| map room | 6 |"),
    "How long can the group room be booked?": ("rooms.md", "for three hours at most"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_it_answers_with_the_real_tools_and_cites_where_it_stands(question: str, tmp_path: Path) -> None:
    root = tmp_path / "notes"
    shutil.copytree(Path(librarian.__file__).parent / "notes", root)
    tools = {each.name: each for each in files_tools(root, private=tmp_path / "private")}
    specs = [ToolSpec(t.name, t.definition.description, t.definition.parameters) for t in tools.values()]
    messages = [ChatMessage("user", question)]
    while (answer := await Scripted().complete("files", ModelRequest(messages, tools=specs))).tool_uses:
        (use,) = answer.tool_uses
        given = msgspec.json.decode(use.arguments, type=tools[use.name].input)
        result = await tools[use.name].run(given, ToolCallInfo("c", "k", "default", []))
        messages += [ChatMessage("assistant", "", [use]), ChatMessage("tool", result.text, tool_use=use.id)]
    path, text = QUESTIONS[question]
    assert text in answer.text
    found = re.search(rf"`{path}:(\d+)-(\d+)`", answer.text)
    assert found is not None, answer.text
    lines = (root / path).read_text().splitlines()[int(found[1]) - 1 : int(found[2])]
    assert [line[2:] for line in answer.text.splitlines() if line.startswith("> ")] == lines
