"""A document: the values of a YAML (or JSON) text, and where in the text each of them stands."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.workflows.definition.problems import DefinitionInvalid, Problem


class Mark(msgspec.Struct, frozen=True):
    """Where a value stands: line and column from 1, and [start, end) in the text. `flow`: written as in JSON."""

    line: int
    column: int
    start: int
    end: int
    flow: bool = True


class Document:
    """A document: its `value`, and by JSON pointer where each value (`marks`) and each key (`keys`) stands.

    What an alias stands for has no marks below the alias. `moved` says, for pointers that begin otherwise in the text
    than in the value that is checked, how they begin there.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.value: Any = None
        self.marks: dict[str, Mark] = {}
        self.keys: dict[str, Mark] = {}
        self.moved: dict[str, str] = {}

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at a place (`key`: at its key); at the nearest enclosing one when that one is not written."""
        at = self.written(pointer)
        mark = (self.keys.get(at) if key else None) or self.marks.get(at) or Mark(1, 1, 0, 0)
        return Problem(self.file, mark.line, mark.column, at, message, hint)

    def written(self, pointer: str) -> str:
        """The pointer in the text, cut to what is written."""
        if self.moved:
            parts = pointer.split("/", 3)
            instead = self.moved.get("/".join(parts[:3]))
            if instead is not None:
                pointer = "/".join([instead, *parts[3:]])
        while pointer and pointer not in self.marks:
            pointer = pointer.rpartition("/")[0]
        return pointer


def read(text: str | bytes, file: str = "workflow.yaml") -> Document:
    """Parse a document. Raises DefinitionInvalid."""
    from actors.workflows.definition.reading import Reader

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        text.encode()
    except UnicodeDecodeError as error:
        raise _not_utf8(error.object[: error.start].decode(), file) from None
    except UnicodeEncodeError as error:
        raise _not_utf8(error.object[: error.start], file) from None
    return Reader(Document(text.removeprefix("\ufeff"), file)).read()


def _not_utf8(before: str, file: str) -> DefinitionInvalid:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return DefinitionInvalid([Problem(file, line, column, "", "this is not UTF-8", "save the file as UTF-8")])


def token(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def names_of(pointer: str) -> list[str]:
    """The parts of a JSON pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def walk(value: Any, pointer: str) -> Any:
    """What stands at a pointer in a value. Raises KeyError, IndexError, TypeError, ValueError when nothing does."""
    for name in names_of(pointer):
        value = value[index_in(value, name)]
    return value


def index_in(held: Any, name: str) -> Any:
    """A part of a pointer as what indexes a list, or a map."""
    return int(name) if isinstance(held, list) else name
