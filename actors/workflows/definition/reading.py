"""Reading YAML safely: no tags, no duplicate keys, size, depth and aliases bounded; scalars as in YAML 1.2.

The parser's events are folded into plain values, without recursion and without nodes in between; an alias shares the
value of its anchor, and counts as much as that holds.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

import yaml

from actors.workflows.definition.document import Document, Mark, token
from actors.workflows.definition.problems import DefinitionInvalid, Problem

LARGEST: Final = 4_000_000
"""Characters of one document."""
DEEPEST: Final = 64
"""Levels of maps and lists."""
ALIASES: Final = 200
"""Aliases in one document."""
VALUES: Final = 500_000
"""Values in one document, each alias counted as what it stands for."""

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE: Final = frozenset(("true", "True", "TRUE"))
_FALSE: Final = frozenset(("false", "False", "FALSE"))
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_JSON: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BEGINS: Final = frozenset("-+.0123456789")
DIGITS: Final = 400
"""Digits of a number."""

_parse: Any = cast("Any", yaml).parse
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plain(text: str) -> Any:
    """What a plain scalar means, by the core schema of YAML 1.2. Raises ValueError for what JSON has no number for."""
    if text[:1] in _BEGINS and text:
        if len(text) > DIGITS and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            raise ValueError(f"a number of {len(text)} characters")
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise ValueError(f"{text} is too large a number")
            return number
        if _NO_JSON.fullmatch(text):
            raise ValueError(f"{text} is no JSON number")
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    return False if text in _FALSE else text


class _Open:
    """A map or list that is being read. `size` counts the values in it, `end` is where its last one ends."""

    __slots__ = ("anchor", "at", "end", "flow", "key", "pointer", "size", "start", "value")

    def __init__(self, value: Any, pointer: str, at: Any, flow: bool, anchor: str | None) -> None:
        self.value: Any = value
        self.pointer = pointer
        self.at = at
        self.start = at.index
        self.end = at.index
        self.flow = flow
        self.anchor = anchor
        self.size = 1
        self.key: str | None = None


class Reader:
    """Folds the events of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._unfinished: set[str] = set()
        self._aliases = 0
        self._count = 0
        self._empty = True

    def read(self) -> Document:
        """The document, complete. Raises DefinitionInvalid."""
        document = self.document
        if len(document.text) > LARGEST:
            raise DefinitionInvalid([document.problem("", f"{len(document.text)} characters, {LARGEST} are allowed")])
        documents = 0
        try:
            for event in _parse(document.text, Loader=_LOADER):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._wrong(event.start_mark, "", "a second document begins here", "one workflow in one file")
                        break
                else:
                    self._event(event)
        except yaml.YAMLError as error:
            self.problems.append(_syntax(error, document))
        except _Enough:
            pass
        if self._empty and not self.problems:
            self.problems.append(document.problem("", "the document is empty", "a workflow has a name and steps"))
        if self.problems:
            raise DefinitionInvalid(self.problems)
        return document

    def _event(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    # -- places

    def _pointer(self) -> str:
        if not self._stack:
            return ""
        top = self._stack[-1]
        return f"{top.pointer}/{len(top.value) if top.key is None else token(top.key)}"

    def _wants_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _wrong(self, mark: Any, pointer: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.document.file, mark.line + 1, mark.column + 1, pointer, message, hint))

    def _put(self, value: Any, size: int) -> None:
        """Add a finished value to what it stands in."""
        self._count += size
        if self._count > VALUES and self._stack:
            here = self._stack[-1].at
            self._wrong(
                here, self._stack[-1].pointer, f"more than {VALUES} values", "aliases count as what they stand for"
            )
            raise _Enough
        if not self._stack:
            self.document.value = value
            return
        top = self._stack[-1]
        top.size += size
        if top.key is None:
            top.value.append(value)
        else:
            top.value.setdefault(top.key, value)
            top.key = None

    def _mark(self, pointer: str, at: Any, end: int, flow: bool = True) -> None:
        self.document.marks.setdefault(pointer, Mark(at.line + 1, at.column + 1, at.index, end, flow))
        if self._stack:
            self._stack[-1].end = end

    # -- events

    def _scalar(self, event: Any) -> None:
        start, text = event.start_mark, cast("str", event.value)
        if event.tag is not None and event.tag != "!":
            self._wrong(start, self._pointer(), f"the tag {event.tag} means nothing here", "leave it out")
        if self._wants_key():
            self._key(event, text)
            return
        self._empty = self._empty and not self._stack and text == "" and not event.style
        pointer = self._pointer()
        value: Any = text
        if event.implicit[0] and not event.style:
            try:
                value = plain(text)
            except ValueError as error:
                self._wrong(start, pointer, str(error), "quote it to make it a text")
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._mark(pointer, start, self._scalar_end(event), event.style not in ("|", ">"))
        self._put(value, 1)

    def _scalar_end(self, event: Any) -> int:
        end = event.end_mark.index
        if event.style in ("'", '"'):
            return end
        # Others end with their last character, not where the parser found out.
        written = self.document.text[event.start_mark.index : end]
        if event.style and "+" in written.partition("\n")[0].partition("#")[0]:
            return end  # the empty lines behind it are part of it
        return event.start_mark.index + len(written.rstrip())

    def _key(self, event: Any, text: str) -> None:
        top = self._stack[-1]
        start = event.start_mark
        at = f"{top.pointer}/{token(text)}"
        if not event.style and text == "":
            self._wrong(start, top.pointer, "a key is missing", "is there a ':' too many?")
        if text in top.value:
            first = self.document.keys[at]
            self._wrong(start, at, f"the key {text!r} is there twice", f"the first one is in line {first.line}")
        if event.anchor is not None:
            self._anchors[event.anchor] = (text, 1)
        top.key = text
        mark = Mark(start.line + 1, start.column + 1, start.index, event.end_mark.index)
        self.document.keys.setdefault(at, mark)

    def _begin(self, event: Any) -> None:
        start = event.start_mark
        pointer = self._pointer()
        self._empty = False
        if event.tag is not None and event.tag != "!":
            self._wrong(start, pointer, f"the tag {event.tag} means nothing here", "leave it out")
        if self._wants_key():
            self._wrong(start, self._stack[-1].pointer, "a key must be text")
            raise _Enough
        if len(self._stack) >= DEEPEST:
            self._wrong(start, pointer, f"nested more than {DEEPEST} deep")
            raise _Enough
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor is not None:
            self._unfinished.add(event.anchor)
        self._stack.append(_Open(value, pointer, start, bool(event.flow_style), event.anchor))

    def _end(self, event: Any) -> None:
        done = self._stack.pop()
        end = event.end_mark.index if done.flow else done.end
        if done.anchor is not None:
            self._unfinished.discard(done.anchor)
            self._anchors[done.anchor] = (done.value, done.size)
        self._mark(done.pointer, done.at, end, done.flow)
        self._put(done.value, done.size)

    def _alias(self, event: Any) -> None:
        start = event.start_mark
        pointer = self._pointer()
        self._aliases += 1
        if self._aliases > ALIASES:
            self._wrong(start, pointer, f"more than {ALIASES} aliases", "write less in one document")
            raise _Enough
        if event.anchor in self._unfinished:
            self._wrong(start, pointer, f"the alias *{event.anchor} stands within what it stands for")
            raise _Enough
        if event.anchor not in self._anchors:
            self._wrong(start, pointer, f"there is no anchor &{event.anchor} before this alias")
            raise _Enough
        value, size = self._anchors[event.anchor]
        if self._wants_key():
            self._wrong(start, self._stack[-1].pointer, "a key must be text", "an alias cannot be a key")
            raise _Enough
        self._mark(pointer, start, event.end_mark.index)
        self._put(value, size)


class _Enough(Exception):
    """Reading on would only cost."""


def _syntax(error: Any, document: Document) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    position = getattr(error, "position", None)
    if mark is None and isinstance(position, int):
        before = document.text[:position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    rest = document.text.split("\n")[line - 1][column - 1 :] if line <= document.text.count("\n") + 1 else ""
    hint = ""
    if rest.startswith("\t") or "found a tab" in what or "\\t" in what:
        hint = "YAML is indented with spaces, not tabs"
    elif "Unicode character escape" in what:
        hint = "write the character itself, not halves of it"
    elif "mapping values are not allowed" in what:
        hint = "quote a text that contains ': '"
    elif "could not find expected ':'" in what:
        hint = "is there a ':' missing after a key?"
    elif "control characters" in what or "special characters" in what or "unacceptable" in what:
        hint = "control characters must be written as escapes in a quoted text"
    elif rest[:1] in ("@", "`", "%"):
        hint = f"quote a text that begins with {rest[0]}"
    elif "expected the node content" in what or "did not find expected" in what:
        hint = "is a bracket, a quote or an indentation not closed before here?"
    return Problem(document.file, line, column, "", what, hint)
