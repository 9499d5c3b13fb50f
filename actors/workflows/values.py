"""Values with expressions in them: a whole string `${ … }` becomes what the expression gives, all else is literal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

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
        self.references: tuple[Reference, ...] = tuple(dict.fromkeys(r for e in self._found for r in e.references))
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
            parts = {str(k): self._compile(v, expressions) for k, v in value.items()}  # type: ignore[misc]
            return lambda bindings: {k: part(bindings) for k, part in parts.items()}
        if isinstance(value, list | tuple):
            items = [self._compile(v, expressions) for v in value]  # type: ignore[misc]
            return lambda bindings: [item(bindings) for item in items]
        return lambda _bindings: value


def bind(references: tuple[Reference, ...], look: Look) -> dict[str, Any]:
    """The smallest nested maps that hold what is referenced; an evaluation then costs what it reads."""
    bindings: dict[str, Any] = {}
    ours = {id(bindings)}  # maps made here, of references; a map that is a value is not to be added to
    for reference in references:
        value = look(reference)
        if value is MISSING:
            # The way to it is there, so that `has()` can say no.
            value, reference = {}, reference[:-1]
        at: Any = bindings
        for name in reference[:-1]:
            if name not in at:
                at[name] = {}
                ours.add(id(at[name]))
            at = at[name]
            if id(at) not in ours:
                break  # all of it is bound already
        else:
            if reference and (value != {} or reference[-1] not in at):
                at[reference[-1]] = value
                if value == {}:
                    at[reference[-1]] = {}
                    ours.add(id(at[reference[-1]]))
    return bindings


MISSING: Any = object()
"""What `Look` returns for something that may be absent and is."""
