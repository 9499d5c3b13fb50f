"""The port to the expression language (CEL). `infra/cel` keeps it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from events.errors import InvalidData

Reference = tuple[str, ...]
"""What an expression reads: `steps.list.output.files` is ("steps", "list", "output", "files"). It ends where the path
is no longer known before the run (an index that is computed, a whole map)."""


class ExpressionError(InvalidData):
    """An expression cannot be compiled, or has no value: a missing key, a type that does not fit, too much work."""

    code = "expression"


class Expression(Protocol):
    """A compiled expression. Pure: the same bindings give the same value, anywhere."""

    source: str
    references: tuple[Reference, ...]
    path: Reference | None
    """The one reference that the expression is, when it is nothing else."""

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """The value as JSON would have it. Raises ExpressionError."""
        ...


class Expressions(Protocol):
    """A language of expressions."""

    def compile(self, source: str, names: Collection[str] = ()) -> Expression:
        """Compile; it may begin with `ROOTS` and `names`. Raises ExpressionError with line and column."""
        ...


ROOTS = ("inputs", "steps", "item", "index", "key", "iteration", "error", "outcome", "output", "event", "run", "group")
"""The names an expression may begin with. Which of them have a value depends on where it stands."""
