"""Reading YAML (and JSON) safely, and knowing where everything stands.

YAML 1.2 core scalars, so `no` is a string and `0o17` a number; duplicate keys are refused, size, depth and aliases
bounded, tags refused. Every value keeps its marks, which errors and edits use.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec
import yaml

from actors.workflows.definition.problems import DefinitionInvalid, Problem

LARGEST: Final = 2_000_000
"""Characters of one document."""
DEEPEST: Final = 64
ALIASES: Final = 200
VALUES: Final = 300_000
"""Values in one document, each alias counted as what it stands for."""


class Mark(msgspec.Struct, frozen=True):
    """Where a value stands: line and column from 1, and [start, end) in the text."""

    line: int
    column: int
    start: int
    end: int


class Document:
    """A document: its `value`, and by JSON pointer where each value (`marks`) and each key (`keys`) stands."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.value: Any = None
        self.marks: dict[str, Mark] = {}
        self.keys: dict[str, Mark] = {}

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at a place; at the nearest enclosing one that is written, when that one is not."""
        at = pointer
        while at and at not in self.marks:
            at = at.rpartition("/")[0]
        mark = (self.keys.get(pointer) if key else None) or self.marks.get(at) or Mark(1, 1, 0, 0)
        return Problem(self.file, mark.line, mark.column, pointer, message, hint)


def read(text: str, file: str = "workflow.yaml") -> Document:
    """Parse a document. Raises DefinitionInvalid."""
    document = Document(text, file)
    if len(text) > LARGEST:
        raise DefinitionInvalid([document.problem("", f"{len(text)} characters, {LARGEST} are allowed")])
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, RecursionError) as error:
        raise DefinitionInvalid([_syntax(error, file)]) from None
    if node is None:
        raise DefinitionInvalid([document.problem("", "the document is empty")])
    reader = _Reader(document)
    document.value = reader.value(node, "", 0)
    if reader.problems:
        raise DefinitionInvalid(reader.problems)
    return document


def token(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2 and nothing else."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_SCALARS: Final = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+0123456789.",
    ),
)
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))  # type: ignore[no-untyped-call]


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.aliases = 0
        self.count = 0
        self._seen: set[int] = set()
        self._open: set[int] = set()

    def value(self, node: Any, pointer: str, depth: int) -> Any:
        document = self.document
        mark = Mark(node.start_mark.line + 1, node.start_mark.column + 1, node.start_mark.index, node.end_mark.index)
        document.marks.setdefault(pointer, mark)
        self.count += 1
        if id(node) in self._open:
            return self._wrong(pointer, "an alias within what it stands for")
        if id(node) in self._seen:
            self.aliases += 1
        self._seen.add(id(node))
        if self.aliases > ALIASES or self.count > VALUES:
            if not self.problems:
                self._wrong(pointer, f"more than {ALIASES} aliases or {VALUES} values", "write less in one document")
            return None
        if depth > DEEPEST:
            return self._wrong(pointer, f"nested more than {DEEPEST} deep")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, pointer)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                if node.tag != "tag:yaml.org,2002:seq":
                    return self._wrong(pointer, f"the tag {node.tag} means nothing here")
                return [self.value(item, f"{pointer}/{n}", depth + 1) for n, item in enumerate(node.value)]
            if node.tag != "tag:yaml.org,2002:map":
                return self._wrong(pointer, f"the tag {node.tag} means nothing here")
            return self._map(node, pointer, depth)
        finally:
            self._open.discard(id(node))

    def _map(self, node: Any, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(pointer, "a key must be text")
                continue
            key = key_node.value
            at = f"{pointer}/{token(key)}"
            start, end = key_node.start_mark, key_node.end_mark
            mark = Mark(start.line + 1, start.column + 1, start.index, end.index)
            if key in found:
                first = self.document.keys[at]
                self.problems.append(
                    Problem(
                        self.document.file,
                        mark.line,
                        mark.column,
                        at,
                        f"the key {key!r} is there twice",
                        f"the first one is in line {first.line}",
                    )  # fmt: skip
                )
                continue
            self.document.keys.setdefault(at, mark)
            found[key] = self.value(value_node, at, depth + 1)
        return found

    def _scalar(self, node: Any, pointer: str) -> Any:
        text, tag = cast("str", node.value), cast("str", node.tag)
        match tag.rpartition(":")[2]:
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            case "float":
                number = float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf")
                               .replace(".INF", "inf").replace(".NaN", "nan").replace(".NAN", "nan"))  # fmt: skip
                if number != number or number in (float("inf"), float("-inf")):
                    return self._wrong(pointer, f"{text} is no JSON number")
                return number
            case _:
                return self._wrong(pointer, f"the tag {tag} means nothing here")

    def _wrong(self, pointer: str, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(pointer, message, hint))


def _syntax(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or str(error) or "nested too deeply"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    hint = ""
    if "\\t" in what or "'\\t'" in what:
        hint = "YAML is indented with spaces, not tabs"
    elif "mapping values are not allowed" in what:
        hint = "quote a text that contains ': '"
    elif "could not find expected ':'" in what:
        hint = "is there a ':' missing after a key?"
    elif "special characters" in what or "unacceptable character" in what:
        hint = "control characters must be written as escapes in a quoted text"
    return Problem(file, line, column, "", what, hint)
