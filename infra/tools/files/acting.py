"""What the tools do."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from actors.tools.tool import ToolCallInfo, ToolError, ToolResult
from events.conversations import Citation
from infra.tools.files import looking
from infra.tools.files.asked import Delete, Edit, Find, List, Move, Read, Undo, Write
from infra.tools.files.changes import Changes, Wish
from infra.tools.files.confined import Confined
from infra.tools.files.content import Content, as_text, diff
from infra.tools.files.globs import SECRET, matches
from infra.tools.files.journal import Journal
from infra.tools.files.names import plain


class Files:
    """What the tools do, by name. Raises ToolError."""

    def __init__(
        self,
        confined: Confined,
        journal: Journal,
        trusted: tuple[str, ...] = (),
        secret: tuple[str, ...] = SECRET,
        patience: float = looking.PATIENCE,
    ) -> None:
        self._confined = confined
        self._changes = Changes(confined, journal)
        self._trusted = trusted
        self._secret = secret
        self._patience = patience

    # Reading.

    def list(self, given: List, call: ToolCallInfo) -> ToolResult:
        """What is in a folder."""
        found, more = looking.entries(self._confined, given.path, given.depth)
        text = "\n".join(f"{each['path']}{'/' if each['type'] == 'folder' else ''}" for each in found)
        value = {"entries": found, "truncated": more}
        return ToolResult(value, text + ("\n[more]" if more else ""), label="untrusted/private")

    def search(self, given: Find, call: ToolCallInfo) -> ToolResult:
        """Lines, cited."""
        search = looking.Search(self._confined, given.query, regex=given.regex, patience=self._patience)
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
        """Lines of a file, cited."""
        path = plain(given.path)
        content = self._needed(path)
        text, citation, count = looking.lines_of(content, path, given.first, given.last)
        lines = list(citation.lines) if citation.lines else []
        value = {"path": path, "text": text, "lines": lines, "of": count, "hash": content.hash,
                 "truncated": bool(lines) and lines[1] < min(given.last or count, count)}  # fmt: skip
        return ToolResult(value, text, label=self._label(path), citations=[citation])

    # Changing.

    def write(self, given: Write) -> Wish:
        """To write it whole."""
        return Wish("files.write", given.path, _encoded(given.content), expect=given.expect)

    def edit(self, given: Edit) -> Wish:
        """To replace a passage."""
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
        """To move it."""
        return Wish("files.move", given.path, to=given.to, expect=given.expect)

    def delete(self, given: Delete) -> Wish:
        """To delete it."""
        return Wish("files.delete", given.path, expect=given.expect)

    def undo(self, given: Undo, call: ToolCallInfo) -> ToolResult:
        """Take a change back."""
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
    """Of what is asked for, whatever characters it is made of."""
    canonical = json.dumps([name, msgspec.structs.asdict(given)], sort_keys=True)
    return sha256(canonical.encode()).hexdigest()


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ToolError("it cannot be written as UTF-8", code="invalid") from None
