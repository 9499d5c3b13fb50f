"""Changing a file so that it is done once and can be taken back.

Every change is: what must be there before, what is there after. The same code writes, deletes, moves, and undoes.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from secrets import token_hex
from typing import Any, Final, Literal

import msgspec

from actors.tools.tool import ToolError
from infra.tools.files.confined import Confined, failure, move_new
from infra.tools.files.content import LARGEST, Content, diff, hash_of, load
from infra.tools.files.journal import Journal, Kept, Record
from infra.tools.files.names import plain, twin

ABSENT: Final = "absent"
"""As `expect`: the file must not be there."""
_NEW_MODE: Final = 0o644

Became = Literal["done", "not-done", "unknown"]


class Wish(msgspec.Struct, frozen=True):
    """A change that is asked for. `data` None deletes; with `to` it is moved. `expect` is the hash it must have now,
    "" for any. `mode` None keeps the mode there is."""

    tool: str
    path: str
    data: bytes | None = None
    to: str = ""
    expect: str = ""
    mode: int | None = None
    must_exist: bool = False


class Changes:
    """Changes of the files of one folder."""

    def __init__(self, confined: Confined, journal: Journal) -> None:
        self._confined = confined
        self.journal = journal

    def current(self, path: str) -> Content | None:
        """A file as it is, None when it is not there. Raises ToolError."""
        try:
            with self._confined.parent(path) as (folder, name):
                return load(self._confined, folder, name, path)
        except ToolError as error:
            if error.code == "not-found":
                return None
            raise

    def apply(self, wish: Wish, key: str, digest: str) -> dict[str, Any]:
        """Do it, or say again what was answered when it was done under this key. Raises ToolError."""
        with self.journal.alone():
            id = Journal.id_of(key)
            known = self.journal.find(id)
            if known is not None and known.digest != digest:
                raise ToolError("this key was used for something else", code="key-reused")
            became = self._became(known) if known is not None else "not-done"
            if known is not None and became == "done":
                return self._finish(known).value
            if became == "unknown":
                raise ToolError(f"{wish.path} was changed since: what became of this is unknown", code="unknown")
            if known is not None:
                self._clean(known)
            return self._perform(wish, id, digest)

    def became(self, key: str) -> tuple[Became, Record | None]:
        """What became of a change whose outcome was lost, and its record if there is one."""
        with self.journal.alone():
            known = self.journal.find(Journal.id_of(key)) if key else None
            if known is None:
                return "not-done", None
            became = self._became(known)
            return became, self._finish(known) if became == "done" else known

    def undo(self, id: str, key: str, digest: str) -> dict[str, Any]:
        """Take a change back, unless the file was changed since. Raises ToolError."""
        record = self.journal.find(id)
        if record is None or not record.done:
            raise ToolError(f"there is no change {id}", code="not-found")
        expect = record.after.hash if record.after else ABSENT
        if record.to:
            wish = Wish("files.undo", record.to, to=record.path, expect=expect)
        elif record.before is None:
            wish = Wish("files.undo", record.path, expect=expect)
        else:
            data = self.journal.content(record.before.hash)
            wish = Wish("files.undo", record.path, data, expect=expect, mode=record.before.mode)
        return self.apply(wish, key, digest)

    def _became(self, record: Record) -> Became:
        if record.done:
            return "done"
        now = self._state(record.to or record.path)
        if record.to:
            source = self._state(record.path)
            if (source, now) == (None, _hash(record.after)):
                return "done"
            return "not-done" if (source, now) == (_hash(record.before), None) else "unknown"
        if now == _hash(record.after):
            return "done"
        return "not-done" if now == _hash(record.before) else "unknown"

    def _state(self, path: str) -> str | None:
        return content.hash if (content := self.current(path)) else None

    def _finish(self, record: Record) -> Record:
        """It was done: note so, and take away what a crash left."""
        if record.done:
            return record
        self._clean(record)
        done = msgspec.structs.replace(record, done=True)
        self.journal.put(done)
        return done

    def _clean(self, record: Record) -> None:
        if record.temporary:
            with suppress(ToolError, OSError), self._confined.parent(record.path) as (folder, _):
                os.unlink(record.temporary, dir_fd=folder)

    def _perform(self, wish: Wish, id: str, digest: str) -> dict[str, Any]:
        path, to = plain(wish.path), plain(wish.to) if wish.to else ""
        if wish.data is not None and len(wish.data) > LARGEST:
            raise ToolError(f"more than {LARGEST} bytes are not written", code="too-large")
        with ExitStack() as open_folders:
            folder, name = open_folders.enter_context(self._confined.parent(path, make=wish.data is not None))
            before = load(self._confined, folder, name, path)
            _check(wish, path, before, name, folder)
            after = before if wish.to else None
            if wish.data is not None:
                mode = wish.mode if wish.mode is not None else before.mode if before else _NEW_MODE
                owner = before.owner if before else (-1, -1)
                after = Content(wish.data, mode, hash_of(wish.data), owner, 1)
            record = self._record(wish, id, digest, path, to, before, after)
            if before is not None:
                self.journal.keep(before.data)
            self.journal.put(record)
            try:
                if to:
                    target, new = open_folders.enter_context(self._confined.parent(to, make=True))
                    _refuse_twin(to, new, target)
                    move_new(folder, name, target, new)
                    os.fsync(target)
                elif after is None:
                    os.unlink(name, dir_fd=folder)
                else:
                    _replace(folder, name, record.temporary, after)
                os.fsync(folder)
            except FileExistsError:
                raise ToolError(f"{to} is there already", code="exists") from None
            except OSError as error:
                raise failure(error, path) from None
            return self._finish(record).value

    def _record(
        self, wish: Wish, id: str, digest: str, path: str, to: str, before: Content | None, after: Content | None
    ) -> Record:
        value: dict[str, Any] = {
            "path": path,
            "before": before.hash if before else None,
            "after": after.hash if after else None,
            "undo": id,
        }
        value |= {"to": to} if to else {"diff": diff(path, before and before.data, after and after.data)}
        temporary = f".{token_hex(8)}.new" if wish.data is not None else ""
        return Record(id, digest, wish.tool, path, _kept(before), _kept(after), to, temporary, value=value)


def _check(wish: Wish, path: str, before: Content | None, name: str, folder: int) -> None:
    if before is None:
        if wish.expect not in ("", ABSENT):
            raise ToolError(f"{path} is not there any more", code="changed")
        if wish.data is None or wish.must_exist:
            raise ToolError(f"{path} is not there", code="not-found")
        _refuse_twin(path, name, folder)
        return
    if wish.expect and before.hash != wish.expect:
        raise ToolError(f"{path} was changed: it is {before.hash} now", code="changed")
    if before.links > 1:
        raise ToolError(f"{path} has another name somewhere (a hard link)", code="path")


def _refuse_twin(path: str, name: str, folder: int) -> None:
    if other := twin(name, folder):
        raise ToolError(f"{path} would differ from {other} in case or composition only", code="path")


def _replace(folder: int, name: str, temporary: str, content: Content) -> None:
    """Write beside it, make that durable, and put it in its place at once. Raises OSError."""
    fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(content.data)
            out.flush()
            with suppress(PermissionError):
                os.fchown(out.fileno(), *content.owner)
            os.fchmod(out.fileno(), content.mode)
            os.fsync(out.fileno())
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _kept(content: Content | None) -> Kept | None:
    return Kept(content.hash, content.mode) if content else None


def _hash(kept: Kept | None) -> str | None:
    return kept.hash if kept else None
