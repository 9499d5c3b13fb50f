"""Values with expressions in them: a whole string `${ … }` becomes what the expression gives, all else is literal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from actors.workflows.expressions import Expression, Expressions, Reference

Look = Callable[[Reference], Any]
"""Finds what a reference names, as far as it is needed; raises ExpressionError when there is no such thing."""


def source_of(text: str) -> str | None:
    """The expression of a string, or None when the string is literal."""
    if text.startswith("${") and text.endswith("}"):
        return text[2:-1].strip()
    return None


class Template:
    """A value whose expressions are compiled. `references` is all that it reads."""

    def __init__(self, value: Any, expressions: Expressions, names: Collection[str] = ()) -> None:
        self._names = names
        self._found: list[Expression] = []
        self._render = self._compile(value, expressions)
        self.references: tuple[Reference, ...] = tuple(
            sorted(dict.fromkeys(r for e in self._found for r in e.references), key=len)
        )
        self.source = value
        self._literal = None if self._found else self._render({})
        # By far the most frequent value is a path as a whole: what it names is the value.
        self._path = self._found[0].path if isinstance(value, str) and self._found else None

    def render(self, look: Look) -> Any:
        """The value. Raises ExpressionError."""
        if not self._found:
            return self._literal
        if self._path is not None:
            value = look(self._path)
            if value is not MISSING:
                return value
        return self._render(bind(self.references, look))

    def inputs(self, look: Look) -> dict[str, Any]:
        """What the expressions read, by dotted path: for decisions that must be explained later."""
        return {".".join(reference): look(reference) for reference in self.references}

    def _compile(self, value: Any, expressions: Expressions) -> Callable[[Mapping[str, Any]], Any]:
        if isinstance(value, str):
            source = source_of(value)
            if source is not None:
                expression = expressions.compile(source, self._names)
                self._found.append(expression)
                return expression.evaluate
            literal = value.replace("$${", "${")
            return lambda _bindings: literal
        if isinstance(value, dict):
            parts = {str(k): self._compile(v, expressions) for k, v in cast("dict[Any, Any]", value).items()}
            return lambda bindings: {k: part(bindings) for k, part in parts.items()}
        if isinstance(value, list | tuple):
            items = [self._compile(v, expressions) for v in cast("Sequence[Any]", value)]
            return lambda bindings: [item(bindings) for item in items]
        return lambda _bindings: value


def bind(references: tuple[Reference, ...], look: Look) -> dict[str, Any]:
    """The smallest nested maps that hold what is referenced, the shortest first; an evaluation costs what it reads.

    Of what is missing, the way to it is there as far as it goes, so that `has()` can say no, and says it at its place.
    """
    bindings: dict[str, Any] = {}
    ours = {id(bindings)}  # maps made here, of references; a map that is a value is not to be added to
    for reference in references:
        value, depth = look(reference), len(reference)
        if value is MISSING:
            value, depth = _as_far_as_it_goes(reference, look)
        at: Any = bindings
        for name in reference[: depth - 1]:
            if name not in at:
                at[name] = {}
                ours.add(id(at[name]))
            at = at[name]
            if id(at) not in ours:
                break  # all of it is bound already
        else:
            name = reference[depth - 1]
            if name not in at:
                at[name] = value
                if value is _WAY:
                    at[name] = {}
                    ours.add(id(at[name]))
    return bindings


def _as_far_as_it_goes(reference: Reference, look: Look) -> tuple[Any, int]:
    """What is there of the way to something missing, and how far that is."""
    for depth in range(len(reference) - 1, 1, -1):
        value = look(reference[:depth])
        if value is not MISSING:
            return (_WAY if isinstance(value, dict) else value), depth
    # The roots are maps, but what maps call their items is anything.
    value = _WAY if reference[0] in ("steps", "inputs", "run") else look(reference[:1])
    return (_WAY if value is MISSING or isinstance(value, dict) else value), 1


_WAY: Any = object()

MISSING: Any = object()
"""What `Look` returns for something that may be absent and is."""
