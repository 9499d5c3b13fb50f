"""Definitions that come with a workspace: where they are found, and what becomes of wrong ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from events.envelope import Answer, Message
from events.errors import BadDefinition, NotFound, NotOwned
from gateway.definitions import Definitions
from gateway.workspace import load

GOOD = "name: {name}\nsteps: {{a: {{value: 1}}}}\n"


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_definitions_are_found_by_name_in_their_folder_and_where_the_plugin_says(tmp_path: Path) -> None:
    write(tmp_path, "workspace.py", "from actors import Plugin\nplugin = Plugin(workflows=['deep/other.yaml'])\n")
    found = [
        write(tmp_path, name, GOOD.format(name="a"))
        for name in ("a.workflow.yaml", "b.workflow.json", "deep/other.yaml", "workflows/c.yml")
    ]
    write(tmp_path, "data.yaml", "not: a definition")
    write(tmp_path, "workflows/readme.md", "")
    assert load(tmp_path).workflows == sorted(found)


def test_a_workspace_may_be_definitions_only(tmp_path: Path) -> None:
    file = write(tmp_path, "a.workflow.yaml", GOOD.format(name="a"))
    assert load(tmp_path).workflows == [file]
    with pytest.raises(NotFound):
        load(tmp_path / "none")


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "workspace.py", "from actors import Plugin\nplugin = Plugin(workflows=[{'name': 'a'}])\n")
    with pytest.raises(BadDefinition, match=r"workspace.py:2: plugin.workflows\[0\] is dict .* not a path"):
        load(tmp_path)


class Workflows:
    """Answers like the actors; the first message finds nobody there."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.ids: list[str] = []

    async def __call__(self, message: Message) -> Answer:
        self.ids.append(message.id)
        if len(self.ids) == 1:
            raise NotOwned("moving")
        name = message.to.partition("/")[2]
        if name == "other":
            reply = msgspec.json.encode({"reason": "not this one", "code": "name"})
            return Answer("refused", data=reply, position=1, version=1)
        self.published.append(name)
        reply = msgspec.json.encode({"name": name, "version": 1, "published": True})
        return Answer("handled", data=reply, position=1, version=1)


async def test_a_wrong_definition_is_told_with_everything_and_the_others_are_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [
        write(tmp_path, "a.yaml", GOOD.format(name="first")),
        write(tmp_path, "b.yaml", "name: second\nsteps:\n  a: {value: 1, need: [x]}\n  b: {task: none}\n"),
        write(tmp_path, "c.yaml", GOOD.format(name="third")),
        write(tmp_path, "d.yaml", GOOD.format(name="other")),
        tmp_path / "gone.yaml",
        write(tmp_path, "e.yaml", GOOD.format(name="fifth")),
    ]
    definitions, workflows = Definitions(), Workflows()
    await definitions.publish(files, "default", workflows)
    assert workflows.published == ["first", "third", "fifth"]
    assert workflows.ids[0] == workflows.ids[1], "it is the same message, sent again"
    told = {Path(one.file).name: one.problems for one in definitions.broken}
    assert list(told) == ["b.yaml", "d.yaml", "gone.yaml"]
    assert {(p["line"], p["file"]) for p in told["b.yaml"]} == {(3, str(files[1])), (4, str(files[1]))}
    assert told["d.yaml"][0]["message"] == "not this one"
    assert sum("b.yaml" in record.getMessage() for record in caplog.records) == len(told["b.yaml"])
