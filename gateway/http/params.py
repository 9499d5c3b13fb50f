"""Query parameters: every one is known, none is given twice unless it is a list, and each fits its model."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar, get_origin

from multidict import MultiMapping
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from events.errors import InvalidData
from gateway.http.body import described
from gateway.problems import UnknownParameter

M = TypeVar("M", bound=BaseModel)

MAX_POSITION: Final = 2**63 - 1


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 19):
        raise ValueError("a whole number in digits is expected")
    return value


Position = Annotated[int, BeforeValidator(_digits), Field(ge=0, le=MAX_POSITION)]
"""A place in the log or in a stream."""

Version = Annotated[int, BeforeValidator(_digits), Field(ge=1, le=2**31 - 1)]
"""A place in a stream, from 1."""

Limit = Annotated[int, BeforeValidator(_digits), Field(ge=1, le=MAX_POSITION)]
"""Rows of a page; more than the most allowed means the most allowed."""

Time = Annotated[int, Field(json_schema_extra={"format": "unix-time-us"})]
"""A time in an answer: microseconds since 1970 (UTC)."""


def parse(given: MultiMapping[str], model: type[M]) -> M:
    """The parameters as an instance of their model. Raises UnknownParameter, InvalidData."""
    known = parameter_names(model)
    values: dict[str, Any] = {}
    for name in given:
        field = known.get(name)
        if field is None:
            raise UnknownParameter(f"there is no parameter {name[:80]!r} here", hint=_suggestion(name, known))
        found = given.getall(name)
        if field:
            values[name] = found
        elif len(found) > 1:
            raise InvalidData(f"parameter {name} is given {len(found)} times", hint="give it once")
        else:
            values[name] = found[0]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidData(f"parameter {described(error)}") from None


def parameter_names(model: type[BaseModel]) -> dict[str, bool]:
    """The names of a model's parameters, and whether each is a list."""
    return {field.alias or name: get_origin(field.annotation) is list for name, field in model.model_fields.items()}


def _suggestion(name: str, known: Mapping[str, bool]) -> str:
    if not known:
        return "this route takes no parameters"
    near = get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"parameters are {', '.join(known)}"
