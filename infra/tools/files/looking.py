"""Listing, searching and reading."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any, Final

from actors.tools.tool import ToolError
from events.conversations import Citation
from infra.tools.files.confined import Confined
from infra.tools.files.content import LARGEST, Content, as_text, load
from infra.tools.files.names import parts_of, plain

MOST_ENTRIES: Final = 1000
MOST_HITS: Final = 200
MOST_LINES: Final = 2000
_MOST_FILES: Final = 5000
_MOST_BYTES: Final = 64 << 20
_LONGEST_TEXT: Final = 256 << 10
_LONGEST_LINE: Final = 400
_DEEPEST: Final = 32
PATIENCE: Final = 10.0
"""Seconds that a regular expression may take."""
_UNSEEN: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})
_MATCHER: Final = str(Path(__file__).with_name("matcher.py"))

Entry = dict[str, Any]


def entries(confined: Confined, path: str, depth: int) -> tuple[list[Entry], bool]:
    """(what is in a folder and, to a depth, below it; whether there is more). Links are named and not followed."""
    found = list[Entry]()
    for entry in _walk(confined, plain(path), min(depth, _DEEPEST)):
        if len(found) >= MOST_ENTRIES:
            return found, True
        found.append(entry)
    return found, False


def _walk(confined: Confined, path: str, depth: int) -> Iterator[Entry]:
    with confined.folder(path) as folder:
        below = sorted(_look(folder), key=lambda entry: entry["path"])
    for entry in below:
        name = entry["path"]
        entry["path"] = name if path == "." else f"{path}/{name}"
        yield entry
        if entry["type"] == "folder" and depth > 1:
            try:
                yield from _walk(confined, entry["path"], depth - 1)
            except ToolError:  # gone, changed, not ours to read, or a name that is not taken
                entry["unread"] = True


def _look(folder: int) -> Iterator[Entry]:
    for name in os.listdir(folder):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            parts_of(name)
        except (OSError, ToolError):
            continue
        kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
        kind = next((kind for test, kind in kinds if test(found.st_mode)), "other")
        yield {"path": name, "type": kind} | ({"size": found.st_size} if kind == "file" else {})


def lines_of(content: Content, path: str, first: int, last: int) -> tuple[str, Citation, int]:
    """(the lines asked for, where they are from, how many there are). Raises ToolError."""
    lines = as_text(content.data, path).splitlines(keepends=True)
    if first < 1 or (last and last < first):
        raise ToolError("lines are counted from 1, the last not before the first", code="invalid")
    if first > max(len(lines), 1):
        raise ToolError(f"{path} has {len(lines)} lines", code="invalid")
    wanted, size = list[str](), 0
    for line in lines[first - 1 : last or None][:MOST_LINES]:
        size += len(line)
        if size > _LONGEST_TEXT and wanted:
            break
        wanted.append(line[:_LONGEST_TEXT])
    reach = (first, first + len(wanted) - 1) if wanted else None
    return "".join(wanted), Citation(path, reach, content.hash), len(lines)


class Search:
    """One search below a folder: all of these words in a line, whatever their case, or a regular expression.

    `skip` says which files are left out; how many is counted. `cut` is set when it ended early.
    """

    def __init__(self, confined: Confined, query: str, *, regex: bool, patience: float = PATIENCE) -> None:
        if not query.strip():
            raise ToolError("there is nothing to search for", code="invalid")
        self._confined = confined
        self._query = query
        self._regex = regex
        self._patience = patience
        self.cut = False
        self.skipped = 0

    def run(self, path: str, skip: Callable[[str], bool]) -> list[tuple[str, int, str, str]]:
        """(path, line number, line, hash of the file) of each hit."""
        if not self._regex:
            words = self._query.casefold().split()
            return self._collect(path, skip, lambda text: _with_words(text, words))
        with _Matcher(self._query, self._patience) as matcher:
            return self._collect(path, skip, matcher.lines)

    def _collect(
        self, path: str, skip: Callable[[str], bool], match: Callable[[str], list[int]]
    ) -> list[tuple[str, int, str, str]]:
        hits, seen, size = list[tuple[str, int, str, str]](), 0, 0
        for name in self._files(path):
            if skip(name):
                self.skipped += 1
                continue
            if (content := self._load(name)) is None:
                continue
            seen, size = seen + 1, size + len(content.data)
            if seen > _MOST_FILES or size > _MOST_BYTES:
                self.cut = True
                break
            text = content.data.decode()
            lines = text.splitlines()
            hits += [(name, n, lines[n - 1][:_LONGEST_LINE], content.hash) for n in match(text)]
            if len(hits) > MOST_HITS:
                self.cut = True
                break
        return hits[:MOST_HITS]

    def _files(self, path: str) -> Iterator[str]:
        try:
            for entry in _walk(self._confined, plain(path), _DEEPEST):
                within = parts_of(entry["path"])[len(parts_of(path)) :]
                if entry["type"] == "file" and entry["size"] <= LARGEST and not _UNSEEN & set(within):
                    yield entry["path"]
        except ToolError as error:
            if error.code != "not-found" or not parts_of(path):
                raise
            yield plain(path)  # a file itself

    def _load(self, path: str) -> Content | None:
        """A text, None for what is none."""
        try:
            with self._confined.parent(path) as (folder, name):
                content = load(self._confined, folder, name, path)
            if content is not None:
                as_text(content.data, path)
            return content
        except ToolError:
            return None


def _with_words(text: str, words: list[str]) -> list[int]:
    folded = (line.casefold() for line in text.splitlines())
    return [number for number, line in enumerate(folded, 1) if all(word in line for word in words)]


class _Matcher:
    """The program that matches. It has so many seconds in all."""

    def __init__(self, pattern: str, patience: float) -> None:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ToolError(f"no regular expression: {error}", code="invalid") from None
        self._pattern = pattern
        self._patience = patience

    def __enter__(self) -> _Matcher:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _MATCHER, str(MOST_HITS + 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={},
        )  # fmt: skip
        self._timer = Timer(self._patience, self._process.kill)
        self._timer.daemon = True
        self._timer.start()
        self._send(self._pattern)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                continue
        self._process.wait()

    def lines(self, text: str) -> list[int]:
        """The numbers of the lines that match. Raises ToolError when it takes too long."""
        self._send(text)
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise ToolError("the regular expression takes too long", code="timeout")
        return json.loads(line)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        data = text.encode()
        try:
            self._process.stdin.write(len(data).to_bytes(4, "big") + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ToolError("the regular expression takes too long", code="timeout") from None
