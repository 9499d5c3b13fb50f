"""The tools `files.*`, for one folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from actors.tools.tool import Tool, ToolCallInfo
from events.errors import BadDefinition
from infra.tools.files import looking
from infra.tools.files.acting import Files
from infra.tools.files.asked import Delete, Edit, Find, List, Move, Read, Undo, Write
from infra.tools.files.changes import Wish
from infra.tools.files.confined import Confined
from infra.tools.files.globs import SECRET
from infra.tools.files.journal import Journal

_PATH: Final = {"path": "destination"}


def files_tools(
    root: Path,
    *,
    readonly: bool = False,
    private: Path | None = None,
    trusted: Sequence[str] = (),
    secret: Sequence[str] = SECRET,
    openat2: bool = True,
    patience: float = looking.PATIENCE,
) -> list[Tool]:
    """The tools for the files below `root`: list, search, read and, unless `readonly`, write, edit, move, delete, undo.

    `private` is where is kept what was before; it may not be below the root nor hold it. Files are untrusted and
    private, those that match `trusted` are trusted, those that match `secret` secret. A
    regular expression may take `patience` seconds. Raises BadDefinition.
    """
    root = root.resolve()
    if not root.is_dir():
        raise BadDefinition(f"{root} is no folder")
    private = (private or _private_of(root)).resolve()
    if private.is_relative_to(root) or root.is_relative_to(private):
        raise BadDefinition(f"{private} can be reached by the tools", hint="keep it elsewhere than the files")
    files = Files(Confined(root, openat2=openat2), Journal(private), tuple(trusted), tuple(secret), patience)
    reading = [
        _reader("files.list", List, files.list, "List a folder."),
        _reader("files.search", Find, files.search, "Search the text files of a folder. Secret files are left out."),
        _reader("files.read", Read, files.read, "Read a text file, with its hash, to cite it or to write it again."),
    ]
    return reading if readonly else reading + _writers(files)


def _reader(name: str, input: type[Any], run: Callable[..., Any], description: str) -> Tool:
    return Tool(
        name, _in_thread(run), description=description, input=input, risk="read-local", effect_class="pure",
        roles=_PATH, timeout=60.0, code=_code(),
    )  # fmt: skip


def _writers(files: Files) -> list[Tool]:
    kinds: list[tuple[str, type[Any], Callable[..., Wish], str, dict[str, str]]] = [
        ("write", Write, files.write, "Write a text file, at once and whole.", {"content": "body"}),
        ("edit", Edit, files.edit, "Replace a passage of a text file.", {"old": "data", "new": "body"}),
        ("move", Move, files.move, "Move or rename a file.", {"to": "destination"}),
        ("delete", Delete, files.delete, "Delete a file. It can be undone.", {}),
    ]
    tools = [
        _writer(f"files.{name}", input, files.changing(wish), files, text, _PATH | roles, files.previewing(wish))
        for name, input, wish, text, roles in kinds
    ]
    undo = _writer("files.undo", Undo, files.undo, files, "Take back a change of a file.", {"id": "destination"}, None)
    return [*tools, undo]


def _writer(
    name: str, input: type[Any], run: Callable[..., Any], files: Files, text: str, roles: dict[str, str],
    preview: Callable[..., Any] | None,
) -> Tool:  # fmt: skip
    return Tool(
        name, _in_thread(run), description=text, input=input, risk="write-reversible", effect_class="keyed",
        roles=roles, timeout=60.0, at_once=1, reconcile=_in_thread(files.reconcile), preview=preview, code=_code(),
    )  # fmt: skip


def _in_thread(run: Callable[..., Any]) -> Callable[..., Any]:
    async def call(given: Any, info: ToolCallInfo) -> Any:
        return await asyncio.to_thread(run, given, info)

    return call


def _code() -> str:
    """A hash of every module here: any of them may change what a tool does."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _private_of(root: Path) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "thespis" / "files" / sha256(os.fsencode(root)).hexdigest()[:16]
