"""The tools `files.*`, for one folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from events.conversations import Citation
from events.errors import BadDefinition
from infra.tools.files import looking
from infra.tools.files.changes import Changes, Wish
from infra.tools.files.confined import Confined
from infra.tools.files.content import Content, as_text, diff
from infra.tools.files.globs import SECRET, matches
from infra.tools.files.journal import Journal
from infra.tools.files.names import plain

_canonical = msgspec.json.Encoder(order="deterministic").encode
_PATH: Final = {"path": "destination"}


class List(msgspec.Struct, frozen=True):
    """What is in a folder; `depth` levels down."""

    path: str = "."
    depth: int = 1


class Find(msgspec.Struct, frozen=True):
    """Lines with all words of `query`, whatever their case; with `regex`, lines that match it. `path` is where."""

    query: str
    path: str = "."
    regex: bool = False


class Read(msgspec.Struct, frozen=True):
    """A text file, or lines of it: `first` counted from 1, `last` 0 for to the end."""

    path: str
    first: int = 1
    last: int = 0


class Write(msgspec.Struct, frozen=True):
    """A whole text file. `expect` is the hash it had when it was read: if it is another now, nothing is written;
    "absent": it must be new."""

    path: str
    content: str
    expect: str = ""


class Edit(msgspec.Struct, frozen=True):
    """Replace `old`, which must stand in the file exactly once, by `new`."""

    path: str
    old: str
    new: str
    expect: str = ""


class Move(msgspec.Struct, frozen=True):
    """Give a file another path, where nothing is yet."""

    path: str
    to: str
    expect: str = ""


class Delete(msgspec.Struct, frozen=True):
    """Take a file away."""

    path: str
    expect: str = ""


class Undo(msgspec.Struct, frozen=True):
    """Take back a change, by the id that it answered, unless the file was changed since."""

    id: str


def files_tools(
    root: Path,
    *,
    readonly: bool = False,
    private: Path | None = None,
    trusted: Sequence[str] = (),
    secret: Sequence[str] = SECRET,
    openat2: bool = True,
) -> list[Tool]:
    """The tools for the files below `root`: list, search, read and, unless `readonly`, write, edit, move, delete, undo.

    `private` is where is kept what was before; it may not be below the root nor hold it. Files are untrusted and
    private, those that match `trusted` are trusted, those that match `secret` secret. Raises BadDefinition.
    """
    root = root.resolve()
    if not root.is_dir():
        raise BadDefinition(f"{root} is no folder")
    private = (private or _private_of(root)).resolve()
    if private.is_relative_to(root) or root.is_relative_to(private):
        raise BadDefinition(f"{private} can be reached by the tools", hint="keep it elsewhere than the files")
    files = _Files(Confined(root, openat2=openat2), Journal(private), tuple(trusted), tuple(secret))
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


def _writers(files: _Files) -> list[Tool]:
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
    name: str, input: type[Any], run: Callable[..., Any], files: _Files, text: str, roles: dict[str, str],
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


class _Files:
    def __init__(self, confined: Confined, journal: Journal, trusted: tuple[str, ...], secret: tuple[str, ...]) -> None:
        self._confined = confined
        self._changes = Changes(confined, journal)
        self._trusted = trusted
        self._secret = secret

    # Reading.

    def list(self, given: List, call: ToolCallInfo) -> ToolResult:
        found, more = looking.entries(self._confined, given.path, given.depth)
        text = "\n".join(f"{each['path']}{'/' if each['type'] == 'folder' else ''}" for each in found)
        value = {"entries": found, "truncated": more}
        return ToolResult(value, text + ("\n[more]" if more else ""), label="untrusted/private")

    def search(self, given: Find, call: ToolCallInfo) -> ToolResult:
        search = looking.Search(self._confined, given.query, regex=given.regex)
        named = plain(given.path)
        hits = search.run(given.path, lambda path: path != named and matches(path, self._secret))
        paths = list(dict.fromkeys(path for path, *_ in hits))
        return ToolResult(
            {
                "hits": [{"path": path, "line": line, "text": text} for path, line, text, _ in hits],
                "truncated": search.cut,
                "secret_files_left_out": search.skipped,
            },
            "\n".join([f"{path}:{line}: {text}" for path, line, text, _ in hits] + (["[more]"] if search.cut else [])),
            label=self._label(*paths),
            citations=[Citation(path, (line, line), hash) for path, line, _, hash in hits],
        )

    def read(self, given: Read, call: ToolCallInfo) -> ToolResult:
        path = plain(given.path)
        content = self._needed(path)
        text, citation, count = looking.lines_of(content, path, given.first, given.last)
        lines = list(citation.lines) if citation.lines else []
        value = {"path": path, "text": text, "lines": lines, "of": count, "hash": content.hash,
                 "truncated": bool(lines) and lines[1] < min(given.last or count, count)}  # fmt: skip
        return ToolResult(value, text, label=self._label(path), citations=[citation])

    # Changing.

    def write(self, given: Write) -> Wish:
        return Wish("files.write", given.path, _encoded(given.content), expect=given.expect)

    def edit(self, given: Edit) -> Wish:
        path = plain(given.path)
        content = self._needed(path)
        text = as_text(content.data, path)
        if not given.old or (count := text.count(given.old)) != 1:
            why = f"occurs {text.count(given.old)} times" if given.old else "is empty"
            raise ToolError(f"the passage to replace {why} in {path}", code="not-found")
        del count
        expect = given.expect or content.hash
        return Wish("files.edit", path, _encoded(text.replace(given.old, given.new)), expect=expect, must_exist=True)

    def move(self, given: Move) -> Wish:
        return Wish("files.move", given.path, to=given.to, expect=given.expect)

    def delete(self, given: Delete) -> Wish:
        return Wish("files.delete", given.path, expect=given.expect)

    def undo(self, given: Undo, call: ToolCallInfo) -> ToolResult:
        return self._told(self._changes.undo(given.id, call.key, _digest("files.undo", given)))

    def changing(self, wish: Callable[..., Wish]) -> Callable[..., ToolResult]:
        """The tool for a wish: a repetition by the same key answers what the first answered."""

        def run(given: Any, call: ToolCallInfo) -> ToolResult:
            digest = _digest(wish.__name__, given)
            became, record = self._changes.became(call.key)
            if became == "done" and record is not None and record.digest == digest:
                return self._told(record.value)
            return self._told(self._changes.apply(wish(given), call.key, digest))

        return run

    def previewing(self, wish: Callable[..., Wish]) -> Callable[..., dict[str, Any]]:
        """What a wish would change, without changing it."""

        def preview(given: Any) -> dict[str, Any]:
            try:
                wished = wish(given)
                path = plain(wished.path)
                now = self._changes.current(path)
            except ToolError as error:
                return {"refused": str(error)}
            shown = {"path": path, "before": now.hash if now else None}
            if wished.to:
                return {**shown, "to": plain(wished.to)}
            return {**shown, "diff": diff(path, now and now.data, wished.data)}

        return preview

    def reconcile(self, given: Any, call: ToolCallInfo) -> tuple[str, Any] | None:
        """What became of a change that was lost: by its record, compared with what is there."""
        became, record = self._changes.became(call.key)
        if became == "unknown":
            return None
        if became == "done" and record is not None:
            return "succeeded", record.value
        return "failed", "it was not done"

    def _needed(self, path: str) -> Content:
        content = self._changes.current(path)
        if content is None:
            raise ToolError(f"{path} is not there", code="not-found")
        return content

    def _told(self, value: dict[str, Any]) -> ToolResult:
        done = f"{value['path']} → {value['to']}" if "to" in value else value["diff"] or f"{value['path']}: the same"
        label = self._label(*filter(None, (value["path"], value.get("to"))))
        return ToolResult(value, f"{done}\n[undo: {value['undo']}]", label=label)

    def _label(self, *paths: str) -> str:
        trust = "trusted" if paths and all(matches(path, self._trusted) for path in paths) else "untrusted"
        return f"{trust}/{'secret' if any(matches(path, self._secret) for path in paths) else 'private'}"


def _digest(name: str, given: Any) -> str:
    return sha256(name.encode() + b"\0" + _canonical(given)).hexdigest()


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ToolError("it cannot be written as UTF-8", code="invalid") from None
