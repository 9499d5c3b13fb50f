"""`Cel`: the port `actors.workflows.expressions.Expressions`."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from cel_expr_python import cel

from actors.workflows.expressions import ROOTS, ExpressionError, Reference
from infra.cel.references import references

LONGEST: Final = 20_000
"""Characters of one expression."""

_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


class Cel:
    """Compiles expressions. One environment per set of names; compiled expressions are not kept here."""

    def __init__(self) -> None:
        self._environments: dict[frozenset[str], Any] = {}

    def compile(self, source: str, names: Collection[str] = ()) -> CelExpression | PathExpression:
        """Compile an expression that may begin with `ROOTS` and `names`. Raises ExpressionError."""
        path = path_of(source)
        if path is not None and (path[0] in ROOTS or path[0] in names):
            return PathExpression(source, path)
        if len(source) > LONGEST:
            raise ExpressionError(f"the expression has {len(source)} characters, {LONGEST} are allowed")
        key = frozenset(names)
        environment = self._environments.get(key)
        if environment is None:
            variables = dict.fromkeys((*ROOTS, *key), cel.Type.DYN)
            environment = self._environments[key] = cel.NewEnv(variables=variables)
        try:
            compiled = environment.compile(source)
        except RuntimeError as error:
            raise _syntax_error(source, str(error)) from None
        return CelExpression(source, compiled)


RESERVED: Final = frozenset((
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
    "loop", "package", "namespace", "return", "var", "void", "while",
))  # fmt: skip
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def path_of(source: str) -> Reference | None:
    """The names in `a.b.c`, when the whole expression is no more than that."""
    if len(source) > LONGEST or _PATH.fullmatch(source) is None:
        return None
    names = tuple(source.split("."))
    return None if RESERVED.intersection(names) else names


class PathExpression:
    """A path and nothing else, by far the most frequent expression: it is looked up, without the library.

    The value is what was bound, as it is: a whole number of any size stays one.
    """

    def __init__(self, source: str, path: Reference) -> None:
        self.source = source
        self.references: tuple[Reference, ...] = (path,)
        self.path: Reference | None = path

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """What is bound there. Raises ExpressionError."""
        value: Any = bindings
        for name in self.references[0]:
            if not isinstance(value, dict):
                raise ExpressionError(f"{self.source}: {_type_of(value)} has no {name!r}")
            if name not in value:
                raise ExpressionError(f'{self.source}: Key not found in map: "{name}"')
            value = cast("dict[str, Any]", value)[name]
        return value


def _type_of(value: Any) -> str:
    return "null" if value is None else "a list" if isinstance(value, list) else f"a {type(value).__name__}"


class CelExpression:
    """A compiled expression."""

    def __init__(self, source: str, compiled: Any) -> None:
        self.source = source
        self.references: tuple[Reference, ...] = references(compiled.serialize())
        self.path: Reference | None = None
        self._compiled = compiled

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """The value, JSON-ready. Raises ExpressionError."""
        try:
            value = self._compiled.eval(data=bindings)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ExpressionError(f"{self.source}: {_plain(str(error))}") from None
        if value.type() == cel.Type.ERROR:
            raise ExpressionError(f"{self.source}: {_plain(str(value.value()))}")
        return _json(value.plain_value())


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {_name(k): _json(v) for k, v in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in cast("list[Any]", value)]
    raise ExpressionError(f"{value!r} cannot be written as JSON")


def _name(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _plain(text: str) -> str:
    """The library's words without its code names."""
    text = re.sub(r"^[A-Z_]+: ", "", text)
    return re.sub(r" \[[A-Z_]+\]$", "", text).replace(" : ", ": ")


def _syntax_error(source: str, text: str) -> ExpressionError:
    found = _PLACE.search(text)
    if found is None:
        return ExpressionError(f"{source}: {_plain(text)}")
    line, column, what = found.groups()
    what = what.replace(" (in container '')", "")
    hint = ""
    if "undeclared reference" in what:
        hint = f"expressions begin with {', '.join(ROOTS)}, or what a map calls its item"
    return ExpressionError(f"{source}: {what} (line {line}, column {int(column) + 1})", hint=hint)
