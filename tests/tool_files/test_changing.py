"""Changes: whole or not at all, once, and back again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from actors.tools.tool import ToolError
from tests.repository.tree import ROOT
from tests.tool_files.folder import Folder


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    (made.root / "a.txt").write_text("one\ntwo\n")
    return made


async def test_a_file_is_written_with_what_changed(folder: Folder) -> None:
    os.chmod(folder.root / "a.txt", 0o751)
    wrote = await folder.call("write", path="a.txt", content="one\nthree\n", expect=hash_of("one\ntwo\n"))
    assert (folder.root / "a.txt").read_text() == "one\nthree\n"
    assert (folder.root / "a.txt").stat().st_mode & 0o7777 == 0o751
    assert (wrote.value["before"], wrote.value["after"]) == (hash_of("one\ntwo\n"), hash_of("one\nthree\n"))
    assert wrote.value["diff"] == "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
    new = await folder.call("write", path="deep/er/new.txt", content="x")
    assert new.value["before"] is None
    assert "--- /dev/null" in new.text
    assert set(folder.everything()) == {"a.txt", "deep/er/new.txt"}


async def test_a_file_that_changed_since_it_was_read_is_left_alone(folder: Folder) -> None:
    for tool, arguments in (("write", {"content": "x"}), ("edit", {"old": "one", "new": "x"}), ("delete", {}),
                            ("move", {"to": "b"})):  # fmt: skip
        assert await folder.refused(tool, path="a.txt", expect=hash_of("other"), **arguments) == "changed"
    assert await folder.refused("write", path="a.txt", content="x", expect="absent") == "changed"
    assert await folder.refused("write", path="gone", content="x", expect=hash_of("x")) == "changed"
    assert folder.everything() == {"a.txt": b"one\ntwo\n"}


async def test_a_passage_is_replaced_if_it_stands_there_once(folder: Folder) -> None:
    await folder.call("edit", path="a.txt", old="two", new="2")
    assert (folder.root / "a.txt").read_text() == "one\n2\n"
    for old in ("three", "\n", ""):
        assert await folder.refused("edit", path="a.txt", old=old, new="x") == "not-found"
    assert await folder.refused("edit", path="none", old="x", new="y") == "not-found"


async def test_a_move_replaces_nothing(folder: Folder) -> None:
    (folder.root / "b").write_text("b")
    assert await folder.refused("move", path="a.txt", to="b") == "exists"
    await folder.call("move", path="a.txt", to="sub/c")
    assert folder.everything() == {"b": b"b", "sub/c": b"one\ntwo\n"}
    assert await folder.refused("move", path="a.txt", to="d") == "not-found"


async def test_every_change_can_be_undone_and_that_too(folder: Folder) -> None:
    before = folder.everything()
    for tool, arguments in (
        ("write", {"path": "a.txt", "content": "new"}),
        ("write", {"path": "new.txt", "content": "new"}),
        ("edit", {"path": "a.txt", "old": "one", "new": "1"}),
        ("delete", {"path": "a.txt"}),
        ("move", {"path": "a.txt", "to": "b.txt"}),
    ):
        changed = await folder.call(tool, **arguments)
        after = folder.everything()
        assert after != before
        undone = await folder.call("undo", id=changed.value["undo"])
        assert folder.everything() == before
        await folder.call("undo", id=undone.value["undo"])
        assert folder.everything() == after
        await folder.call("undo", id=changed.value["undo"])
        assert folder.everything() == before


async def test_undo_restores_the_mode_and_leaves_a_file_alone_that_changed_since(folder: Folder) -> None:
    os.chmod(folder.root / "a.txt", 0o700)
    deleted = await folder.call("delete", path="a.txt")
    await folder.call("undo", id=deleted.value["undo"])
    assert (folder.root / "a.txt").stat().st_mode & 0o777 == 0o700
    wrote = await folder.call("write", path="a.txt", content="mine")
    (folder.root / "a.txt").write_text("somebody else's")
    assert await folder.refused("undo", id=wrote.value["undo"]) == "changed"
    assert (folder.root / "a.txt").read_text() == "somebody else's"
    for id in ("", "0" * 24, "../../etc/passwd", "x" * 24):
        assert await folder.refused("undo", id=id) == "not-found"


async def test_a_repetition_by_the_same_key_answers_the_same_and_does_nothing(folder: Folder) -> None:
    for tool, arguments in (
        ("write", {"path": "w", "content": "w"}), ("edit", {"path": "a.txt", "old": "one", "new": "1"}),
        ("move", {"path": "w", "to": "v"}), ("delete", {"path": "v"}),
    ):  # fmt: skip
        first = await folder.call(tool, key=f"key-{tool}", **arguments)
        state = folder.everything()
        assert await folder.reconcile(tool, f"key-{tool}", **arguments) == ("succeeded", first.value)
        again = await folder.call(tool, key=f"key-{tool}", **arguments)
        assert (again.value, folder.everything()) == (first.value, state)
    await folder.call("write", path="w", content="later")
    assert (await folder.call("write", key="key-write", path="w", content="w")).value["path"] == "w"
    assert (folder.root / "w").read_text() == "later"


async def test_a_key_is_for_one_change(folder: Folder) -> None:
    await folder.call("write", key="k", path="w", content="w")
    assert await folder.refused("write", key="k", path="w", content="other") == "key-reused"
    assert await folder.refused("delete", key="k", path="w") == "key-reused"
    assert await folder.reconcile("write", "never", path="w", content="x") == ("failed", "it was not done")


async def test_what_cannot_be_written_is_refused_whole(folder: Folder) -> None:
    assert await folder.refused("write", path="a.txt", content="\ud800") == "invalid"
    assert await folder.refused("write", path="a.txt", content="x" * ((4 << 20) + 1)) == "too-large"
    assert await folder.refused("write", path="a.txt/b", content="x") in ("not-found", "failed")
    assert folder.everything() == {"a.txt": b"one\ntwo\n"}


async def test_many_at_once_lose_nothing(folder: Folder) -> None:
    (folder.root / "n").write_text("")

    async def add(number: int) -> None:
        while True:
            read = await folder.call("read", path="n")
            try:
                await folder.call("write", path="n", content=f"{read.text}{number}\n", expect=read.value["hash"])
            except ToolError:  # somebody else was faster
                continue
            return

    await asyncio.gather(*map(add, range(8)))
    assert sorted(map(int, (folder.root / "n").read_text().split())) == list(range(8))


async def test_a_preview_shows_the_change_and_makes_none(folder: Folder) -> None:
    write, move = folder.tools["write"], folder.tools["move"]
    assert write.preview
    assert move.preview
    assert write.input
    assert move.input
    shown = write.preview(write.input(path="a.txt", content="x\n"))
    assert "-one" in shown["diff"]
    assert move.preview(move.input(path="a.txt", to="b"))["to"] == "b"
    assert "refused" in write.preview(write.input(path="../x", content="x"))
    assert folder.everything() == {"a.txt": b"one\ntwo\n"}


CRASHING = """
import os, signal, sys
from pathlib import Path
from infra.tools.files import asked
from infra.tools.files.acting import Files
from infra.tools.files.confined import Confined
from infra.tools.files.journal import Journal
from tests.tool_files.folder import info

place, after, name, key, *pairs = sys.argv[1:]

class Dying(Journal):
    def put(self, record):
        if after == "meant":
            super().put(record)
        if after == "meant" or record.done:
            os.kill(os.getpid(), signal.SIGKILL)
        super().put(record)

tools = Files(Confined(Path(place, "root")), Dying(Path(place, "private")))
given = getattr(asked, name.capitalize())(**dict(pair.split("=", 1) for pair in pairs))
tools.changing(getattr(tools, name))(given, info(key))
"""

CHANGES = {
    "write": {"path": "a.txt", "content": "new"},
    "edit": {"path": "a.txt", "old": "one", "new": "1"},
    "delete": {"path": "a.txt"},
    "move": {"path": "a.txt", "to": "b.txt"},
}


def killed(folder: Folder, after: str, tool: str, key: str, arguments: dict[str, str]) -> None:
    """A process that dies by SIGKILL in a change: at `meant`, before the act, or at `done`, before that is noted."""
    pairs = [f"{name}={value}" for name, value in arguments.items()]
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(folder.root.parent), after, tool, key, *pairs], cwd=ROOT, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("tool", CHANGES)
async def test_a_change_killed_before_it_was_noted_is_recognised(folder: Folder, tool: str) -> None:
    arguments = CHANGES[tool]
    killed(folder, "done", tool, "k", arguments)
    state = folder.everything()
    assert state != {"a.txt": b"one\ntwo\n"}
    found = await folder.reconcile(tool, "k", **arguments)
    assert found[0] == "succeeded"
    again = await folder.call(tool, key="k", **arguments)
    assert (again.value, folder.everything()) == (found[1], state)
    await folder.call("undo", id=again.value["undo"])
    assert folder.everything() == {"a.txt": b"one\ntwo\n"}


@pytest.mark.parametrize("tool", CHANGES)
async def test_a_change_killed_before_the_act_was_not_done_and_can_be(folder: Folder, tool: str) -> None:
    arguments = CHANGES[tool]
    killed(folder, "meant", tool, "k", arguments)
    assert folder.everything() == {"a.txt": b"one\ntwo\n"}
    assert await folder.reconcile(tool, "k", **arguments) == ("failed", "it was not done")
    await folder.call(tool, key="k", **arguments)
    assert folder.everything() != {"a.txt": b"one\ntwo\n"}
    assert [name for name in folder.everything() if name.startswith(".")] == []


async def test_where_somebody_else_was_there_meanwhile_the_outcome_is_unknown(folder: Folder) -> None:
    killed(folder, "done", "write", "k", CHANGES["write"])
    (folder.root / "a.txt").write_text("somebody else's")
    assert await folder.reconcile("write", "k", **CHANGES["write"]) is None
    assert await folder.refused("write", key="k", **CHANGES["write"]) == "unknown"
    assert (folder.root / "a.txt").read_text() == "somebody else's"
