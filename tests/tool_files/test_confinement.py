"""Nothing outside of the folder is read or changed, by whatever path, link or race."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from actors.tools.tool import ToolError
from infra.tools.files.confined import Confined
from tests.tool_files.folder import Folder

WAYS = pytest.mark.parametrize("openat2", [True, False], ids=["openat2", "step by step"])
"""The kernel's way of confining, and the other where it is not to be had."""

BAD_PATHS = [
    "..", "../out", "a/../../out", "./../out", "/etc/passwd", "//etc/passwd", "~/x", "a/..", "sub/../..", "a\0b",
    "a\nb", "\x1b[0m", "a\u202eb", "a\u200bb", "a\u2028b", "cafe\u0301", "a\\b", "..\\out", "x" * 300, "a/" * 100 + "b",
    "\ud800", "a" + "/b" * 3000,
]  # fmt: skip


@pytest.fixture(params=[True, False], ids=["openat2", "step by step"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    made = Folder(tmp_path, openat2=request.param)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("secret")
    (made.root / "sub").mkdir()
    (made.root / "sub" / "mine").write_text("mine")
    return made


def outside(folder: Folder) -> dict[str, str]:
    """Everything outside of the root, which must stay as it is."""
    return {each.name: each.read_text() for each in (folder.root.parent / "out").iterdir()}


async def refused_by_all(folder: Folder, path: str) -> set[str]:
    """The codes by which every tool refuses a path."""
    codes = {
        await folder.refused("read", path=path),
        await folder.refused("write", path=path, content="new"),
        await folder.refused("edit", path=path, old="secret", new="new"),
        await folder.refused("delete", path=path),
        await folder.refused("move", path=path, to="elsewhere"),
        await folder.refused("move", path="sub/mine", to=path),
    }
    assert outside(folder) == {"secret": "secret"}
    assert (folder.root / "sub" / "mine").read_text() == "mine"
    return codes


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path)[:20])
async def test_a_path_that_leads_elsewhere_or_is_not_seen_is_refused(folder: Folder, path: str) -> None:
    assert await refused_by_all(folder, path) == {"path"}
    for tool in ("list", "search"):
        arguments = {"query": "x"} if tool == "search" else {}
        assert await folder.refused(tool, path=path, **arguments) == "path"


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("link", "../out/secret", "link"),
        ("link", "../out", "link/secret"),
        ("sub/link", "../../out", "sub/link/secret"),
        ("link", "sub", "link/mine"),
        ("link", "link", "link"),
        ("link", "/proc/self/cwd", "link/x"),
    ],
)
async def test_links_are_never_followed(folder: Folder, link: str, target: str, path: str) -> None:
    (folder.root / link).symlink_to(target)
    assert await refused_by_all(folder, path) <= {"path", "not-found", "exists", "failed"}
    assert "secret" not in str((await folder.call("search", query="secret")).value["hits"])
    assert os.readlink(folder.root / link) == target


async def test_a_new_file_does_not_go_through_a_link(folder: Folder) -> None:
    (folder.root / "link").symlink_to("../out")
    assert await folder.refused("write", path="link/new", content="x") == "path"
    assert await folder.refused("write", path="link/deeper/new", content="x") == "path"
    (folder.root / "dangling").symlink_to("../out/new")
    assert await folder.refused("write", path="dangling", content="x") == "path"
    assert outside(folder) == {"secret": "secret"}


async def test_a_hard_link_to_outside_is_not_written(folder: Folder) -> None:
    os.link(folder.root.parent / "out" / "secret", folder.root / "hard")
    for tool, arguments in (
        ("write", {"content": "x"}), ("edit", {"old": "secret", "new": "x"}), ("delete", {}), ("move", {"to": "moved"}),
    ):  # fmt: skip
        assert await folder.refused(tool, path="hard", **arguments) == "path"
    assert outside(folder) == {"secret": "secret"}


async def test_devices_pipes_and_sockets_are_no_files(folder: Folder) -> None:
    os.mkfifo(folder.root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder.root / "socket"))
        kinds = ["pipe", "socket"]
        try:
            os.mknod(folder.root / "null", 0o20666, os.makedev(1, 3))
            kinds.append("null")
        except PermissionError:
            pass  # not ours to make
        for kind in kinds:
            assert await refused_by_all(folder, kind) <= {"path", "exists"}
            assert not (await folder.call("search", query="x", path=".")).value["hits"]


async def test_names_that_differ_in_case_or_composition_only_are_not_made(folder: Folder) -> None:
    (folder.root / "Name").write_text("x")
    (folder.root / "cafe\u0301").write_text("x")
    for path in ("name", "NAME", "caf\u00e9", "\uff2eame"):
        assert await folder.refused("write", path=path, content="y") == "path"
        assert await folder.refused("move", path="sub/mine", to=path) == "path"
    assert (folder.root / "Name").read_text() == "x"


async def test_what_is_kept_is_not_readable_for_others(folder: Folder) -> None:
    await folder.call("write", path="a", content="x")
    assert folder.private.stat().st_mode & 0o077 == 0
    assert all(each.stat().st_mode & 0o077 == 0 for each in folder.private.rglob("*"))


def test_another_disk_is_elsewhere(folder: Folder) -> None:
    confined = Confined(Path("/"), openat2=folder.tools["read"] is not None)
    with pytest.raises(ToolError) as refused, confined.folder("proc"):
        pass
    assert refused.value.code == "path"


class Swapper:
    """Exchanges a folder and a link out, in one step, as fast as it can, until it is left."""

    def __init__(self, root: Path, target: Path) -> None:
        (root / "other").symlink_to(target)
        self._paths = [os.fsencode(root / name) for name in ("swapped", "other")]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._swap)
        self.swaps = 0

    def _swap(self) -> None:
        while not self._over.is_set():
            assert self._libc.renameat2(-100, self._paths[0], -100, self._paths[1], 2) == 0
            self.swaps += 1

    def __enter__(self) -> Swapper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_a_folder_swapped_with_a_link_leads_out_whoever_goes_by_paths(tmp_path: Path) -> None:
    """So that the race in the next test is one."""
    for name in ("swapped", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with Swapper(tmp_path, tmp_path / "out"):
        seen = {""}
        for _ in range(100_000):
            seen.add((tmp_path / "swapped" / "file").read_text())
            if len(seen) > 2:
                break
    assert seen == {"", "swapped", "out"}


async def test_a_folder_swapped_with_a_link_meanwhile_leads_nowhere(folder: Folder) -> None:
    inside, out = folder.root / "swapped", folder.root.parent / "out"
    inside.mkdir()
    (inside / "secret").write_text("mine")
    (out / "deep").mkdir()
    (out / "secret").write_text("not yours")
    done = tried = 0
    with Swapper(folder.root, out) as swapper:
        while (done < 20 or swapper.swaps < 200) and tried < 3000:
            tried += 1
            for tool, arguments in (
                ("read", {"path": "swapped/secret"}),
                ("write", {"path": "swapped/secret", "content": f"mine {tried}"}),
                ("write", {"path": f"swapped/deep/{tried % 7}", "content": "mine"}),
                ("edit", {"path": "swapped/secret", "old": "mine", "new": "mine "}),
                ("delete", {"path": f"swapped/deep/{tried % 7}"}),
                ("list", {"path": "swapped"}),
            ):
                try:
                    result = await folder.call(tool, **cast("dict[str, Any]", arguments))
                except ToolError:
                    continue
                assert "not yours" not in result.text
                assert tool != "read" or result.text.startswith("mine")
                done += 1
    assert list((out / "deep").iterdir()) == []
    shutil.rmtree(out / "deep")
    assert outside(folder) == {"secret": "not yours"}
    assert done >= 20
