"""What the fields of a definition are made of: names, durations, values, expressions; and what may be written short."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from actors.workflows.definition.durations import seconds

NAME: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
"""Names of steps and inputs: what an expression can write after a dot, or in brackets."""
IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
"""Names that an expression begins with."""

_DURATION = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
    "examples": ["500ms", "30s", "5m", "1h30m", "7d", "PT5M", 2.5],
}
_EXPRESSION = {"type": ["string", "boolean"], "examples": ["${ inputs.full && steps.list.output.n > 0 }"]}


def _expression(value: Any) -> str:
    """`${ … }` around an expression: in these places nothing else can stand, so it may be left out."""
    if isinstance(value, bool):
        return f"${{ {str(value).lower()} }}"
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no expression, write ${{ … }}")
    text = value.strip()
    return text if text.startswith("${") and text.endswith("}") else f"${{ {text} }}"


class Many:
    """Marks a list of which one item may be written without the brackets."""


Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_DURATION)]
"""Seconds, from `500ms`, `30s`, `5m`, `1h30m`, `7d`, ISO 8601, or a number."""
Name = Annotated[str, Field(pattern=NAME)]
Value = Annotated[Any, WithJsonSchema({})]
"""JSON in which a whole string `${ expression }` stands for what the expression gives."""
Expr = Annotated[str, BeforeValidator(_expression), WithJsonSchema(_EXPRESSION)]
"""An expression; `${ … }` around it may be left out."""
Names = Annotated[list[Name], Many()]
Texts = Annotated[list[str], Many()]
