"""From a document to the model: short forms written out, and every error of form with its place."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin

from pydantic import ValidationError

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.fields import IDENTIFIER, Many
from actors.workflows.definition.model import LATER, WorkflowModel
from actors.workflows.definition.parts import Model
from actors.workflows.definition.problems import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

M = TypeVar("M", bound=Model)


class Form(NamedTuple):
    """How a field is written: a value, a model, or a list or map of models; `many`: one item may stand for a list."""

    model: type[Model] | None = None
    holds: str = ""
    many: bool = False


def shape(document: Document, value: Any) -> tuple[WorkflowModel | None, list[Problem]]:
    """What is wrong with the form of a definition, and as a model what is right, to be checked further."""
    if not isinstance(value, dict):
        return None, [document.problem("", "a workflow is a map of name, inputs, steps, …")]
    return shaped(document, value, WorkflowModel, LATER)


def shaped(document: Document, value: Any, model: type[M], later: Mapping[str, str]) -> tuple[M | None, list[Problem]]:
    """`shape` for any model of definitions. `later` are the keys that come later, and with what."""
    problems: list[Problem] = []
    written_out = _write_out(document, "", value, model, problems, later)
    for attempt in range(DEEPEST):
        try:
            return model.model_validate(written_out), problems
        except ValidationError as error:
            faults = error.errors(include_url=False)
            if not attempt:
                problems += [_problem(document, fault) for fault in faults]
            for fault in faults:
                _leave_out(written_out, list(fault["loc"]), fault["type"] == "missing")
    return None, problems


def follows(problem: Problem, formal: list[Problem]) -> bool:
    """Whether a problem may be there only because of the form of what it contains, or of what stands beside it."""
    return any(
        _within(fault.pointer, problem.pointer) or _within(problem.pointer, _around(fault.pointer))
        for fault in formal
        if fault.pointer
    )


def _around(pointer: str) -> str:
    """What a faulty place casts doubt on: the map it stands in, but not all the steps (or the like) for one of them."""
    around = pointer.rpartition("/")[0]
    return pointer if around.rpartition("/")[2] in ("", "steps", "assets", "inputs", "outputs", "variables") else around


def _within(pointer: str, around: str) -> bool:
    return f"{pointer}/".startswith(f"{around}/")


def _leave_out(value: Any, loc: list[Any], missing: bool) -> None:
    """Take a faulty part out; of a step that is none, and of what is missing, something stays in its place."""
    if loc[-1:] == ["[key]"]:
        loc.pop()
    if missing and loc == ["name"]:
        value["name"] = "nameless"
        return
    if missing:
        loc.pop()
    holders = [value]
    for part in loc[:-1]:
        held = holders[-1]
        if not (isinstance(held, list | dict)) or (isinstance(held, dict) and part not in held):
            return
        if isinstance(held, list) and part >= len(cast("list[Any]", held)):
            return
        holders.append(held[part])
    if not loc:
        return
    last, holder = loc[-1], holders[-1]
    if isinstance(holder, dict) and last in holder:
        if len(loc) > 1 and loc[-2] == "steps":
            holder[last] = {"value": None}
        elif last == "name" and len(loc) == 1:
            holder[last] = "nameless"
        else:
            del holder[last]
    elif isinstance(holder, list) and last < len(cast("list[Any]", holder)):
        del holder[last]


DEEPEST = 64
"""Rounds of leaving out what is wrong."""


def _write_out(
    document: Document, pointer: str, value: Any, model: type[Model], problems: list[Problem], later: Mapping[str, str]
) -> Any:
    """The value without its short forms and `x-` keys; unknown keys are problems."""
    known = forms(model)
    if not isinstance(value, dict):
        if not model.short or value is None:
            return cast("Any", value)
        value = {model.short: value}
    found: dict[str, Any] = {}
    for key, item in cast("dict[str, Any]", value).items():
        at = f"{pointer}/{token(key)}"
        form = known.get(key)
        if form is None:
            if not key.startswith("x-"):
                problems.append(_unknown(document, at, key, known, later))
            continue
        if form.many and item is not None and not isinstance(item, list):
            item = [item]
        if form.model is None:
            found[key] = item
        elif form.holds == "list" and isinstance(item, list):
            items = cast("list[Any]", item)
            found[key] = [
                _write_out(document, f"{at}/{n}", i, form.model, problems, later) for n, i in enumerate(items)
            ]
        elif form.holds == "map" and isinstance(item, dict):
            named = cast("dict[str, Any]", item)
            found[key] = {
                name: _write_out(document, f"{at}/{token(name)}", i, form.model, problems, later)
                for name, i in named.items()
            }
        else:
            found[key] = item if form.holds else _write_out(document, at, item, form.model, problems, later)
    return found


def _unknown(document: Document, pointer: str, key: str, known: dict[str, Form], later: Mapping[str, str]) -> Problem:
    if key in later:
        return document.problem(pointer, f"{key} is not supported yet", f"it comes later, with {later[key]}", key=True)
    hint = nearest(key, known)
    if key == "<<":
        hint = "merge keys are not part of YAML 1.2; write the keys, or an alias for a whole value"
    return document.problem(pointer, f"unknown key {key!r}", hint, key=True)


@cache
def forms(model: type[Model]) -> dict[str, Form]:
    """How each field of a model is written, by the name it is written with."""
    found: dict[str, Form] = {}
    for name, field in model.model_fields.items():
        form = _form(field.annotation)
        many = form.many or any(isinstance(m, Many) for m in field.metadata)
        found[field.alias or name] = form._replace(many=many)
    return found


def _form(annotation: Any) -> Form:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _form(arguments[0])._replace(many=any(isinstance(a, Many) for a in arguments[1:]))
    if origin in (Union, UnionType):
        return next((form for a in arguments if (form := _form(a)).model is not None), Form())
    if origin is list:
        return Form(_form(arguments[0]).model, "list")
    if origin is dict:
        return Form(_form(arguments[1]).model, "map")
    if origin is not Literal and isinstance(annotation, type) and issubclass(annotation, Model):
        return Form(annotation)
    return Form()


_KINDS = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list", "dict_type": "a map", "model_type": "a map",
    "model_attributes_type": "a map",
}  # fmt: skip

_LIMITS = {
    "greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"), "less_than": ("less than", "lt"),
}  # fmt: skip


def _problem(document: Document, fault: Any) -> Problem:
    """What pydantic found, in our words."""
    loc = list(fault["loc"])
    of_key = loc[-1:] == ["[key]"]
    if of_key:
        loc.pop()
    pointer = "".join(f"/{token(str(part))}" for part in loc)
    kind, given = fault["type"], fault.get("input")
    context = fault.get("ctx", {})
    message, hint = str(fault["msg"]).removeprefix("Value error, "), ""
    message = message[:1].lower() + message[1:]
    if kind == "missing":
        pointer, message = pointer.rpartition("/")[0], f"{loc[-1]!r} is missing"
    elif kind in _KINDS:
        message = f"{_KINDS[kind]} is expected here, not {_said(given)}"
        if kind == "bool_type" and str(given).lower() in ("yes", "no", "on", "off", "y", "n"):
            hint = f"{given} is a text in YAML 1.2; write true or false"
        elif kind == "string_type" and isinstance(given, bool | int | float):
            hint = "quote it"
    elif kind == "literal_error":
        expected = [str(e) for e in str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")]
        message, hint = f"{_said(given)} is none of {', '.join(expected)}", ""
        if isinstance(given, str) and (near := nearest(given, expected)).startswith("did"):
            hint = near
    elif kind in _LIMITS:
        word, bound = _LIMITS[kind]
        message = f"{word} {context[bound]} is expected here, not {_said(given)}"
    elif kind in ("too_short", "string_too_short"):
        message = "there must be at least one" if kind == "too_short" else "a text is expected here, not an empty one"
    elif kind == "string_pattern_mismatch":
        message, hint = f"{_said(given)} cannot be a name", "letters, digits, _ and -, beginning with a letter"
        if context["pattern"].startswith("^[a-z]["):
            hint = "lower-case letters, digits and -, beginning with a letter"
        elif "@" in context["pattern"]:
            message, hint = f"{_said(given)} cannot be a task", "name, name@version, or +capability"
        elif context["pattern"] == IDENTIFIER:
            hint = "letters, digits and _, beginning with a letter"
    return document.problem(pointer, message, hint, key=of_key)


def _said(value: Any) -> str:
    """A value in a message, in short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
