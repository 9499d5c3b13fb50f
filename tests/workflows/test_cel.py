"""The expression language: how JSON binds, what comes back, what is read, and that nothing gets out of hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.workflows.expressions import ExpressionError, Reference
from actors.workflows.values import MISSING, Template
from infra.cel import Cel

CEL = Cel()


def evaluated(source: str, **inputs: Any) -> Any:
    """An expression over `inputs`."""
    return CEL.compile(source).evaluate({"inputs": inputs})


@pytest.mark.parametrize(("source", "value"), [
    ("200 == inputs.status", True), ("inputs.status == 200.0", True), ("inputs.half > 0", True),
    ("inputs.none == null", True), ("inputs.list[1]", 2), ("inputs.list.map(x, x * 2)", [2, 4, 6]),
    ("inputs.list.exists(x, x > 2) && inputs.list.all(x, x > 0)", True), ("size(inputs.text)", 3),
    ("inputs.map['a b']", 1), ("inputs.map.c.d", [1, {"e": None}]), ("has(inputs.map.c) && !has(inputs.map.x)", True),
    ("inputs.status / 3", 66), ("double(inputs.status) / 3.0 > 66.6", True), ("'a' + inputs.text", "aäöü"),
    ("{'k': inputs.half}", {"k": 0.5}), ("timestamp('2026-01-31T07:00:00Z') + duration('1h')", "2026-01-31T08:00:00Z"),
    ("duration('90s')", 90.0), ("b'ab'", "YWI="), ("{1: 2}", {"1": 2}), ("{true: 2}", {"true": 2}),
    ("9223372036854775807", 9223372036854775807), ("inputs.text.startsWith('ä')", True),
    ("[1, 2.5, 'x', null]", [1, 2.5, "x", None]),
    ("inputs.status > 1.5", True), ("string(inputs.status)", "200"), ("inputs.list.filter(x, x != 2)", [1, 3]),
])  # fmt: skip
def test_values_are_those_of_json(source: str, value: Any) -> None:
    found = evaluated(source, status=200, half=0.5, none=None, list=[1, 2, 3], text="äöü",
                      map={"a b": 1, "c": {"d": [1, {"e": None}]}})  # fmt: skip
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("source", [
    "inputs.missing", "inputs.list[7]", "inputs.status + 0.5", "1 / 0", "inputs.none.x", "inputs.text.x",
    "9223372036854775807 + inputs.status", "timestamp('yesterday')", "inputs.text + 1", "inputs.status && true",
    "inputs.big + 1", "inputs.list.map(x, x.y)",
])  # fmt: skip
def test_what_has_no_value_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(source, status=200, none=None, list=[1], text="x", big=1 << 70)


@pytest.mark.parametrize(
    "source", ["", "1 +", "unknown.x", "inputs.", "a b", "inputs.x)", "'open", "steps..x", "in", "x" * 30_000]
)
def test_what_is_no_expression_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        CEL.compile(source)


def test_an_error_names_the_place() -> None:
    with pytest.raises(ExpressionError, match="line 2, column"):
        CEL.compile("1 +\n unknown")


def test_a_path_gives_what_is_there_whatever_it_is() -> None:
    values: list[Any] = [None, 1 << 80, 1.5, [], {}, "x", {"a": [None]}]
    for value in values:
        assert evaluated("inputs.v", v=value) is value


def test_nothing_runs_for_ever_or_eats_all_memory() -> None:
    numbers = "[" + ",".join(["1"] * 50) + "]"
    nested = numbers
    for name in "abcdef":
        nested = f"{numbers}.map({name}, {nested})"
    with pytest.raises(ExpressionError):
        CEL.compile(nested).evaluate({})
    for source in ("(" * 400 + "1" + ")" * 400, "-" * 2_000 + "1", "!" * 5_000 + "true", "[" * 900 + "]" * 900):
        _said(lambda text=source: CEL.compile(text).evaluate({}))


def test_there_is_no_way_out_of_an_expression() -> None:
    for source in ("inputs.__class__", "inputs.keys()", "open('x')", "__import__('os')", "inputs.get('x')"):
        with pytest.raises(ExpressionError):
            evaluated(source)


# -- what an expression reads

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from(["", "a", "b"]))


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3))


DATA = st.recursive(LEAVES, _containers, max_leaves=12)


@st.composite
def sources(draw: st.DrawFn, depth: int = 3, names: tuple[str, ...] = ("inputs", "steps")) -> str:
    """Expressions of all kinds; most have no value on most data, which is a result too."""

    def inner(more: tuple[str, ...] = ()) -> str:
        return draw(sources(depth - 1, (*names, *more)))

    def path() -> str:
        parts = [draw(st.sampled_from(names))]
        parts += draw(st.lists(st.sampled_from([".a", ".b", ".c", "['a']", "['b']", "[0]", "[1]"]), max_size=3))
        return "".join(parts)

    if depth == 0:
        return draw(st.one_of(st.sampled_from(["1", "'a'", "true", "null"]), st.builds(path)))
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2:
            return path()
        case 3:
            return f"({inner()} == {inner()})"
        case 4:
            return f"(has({draw(st.sampled_from(names))}.{draw(st.sampled_from('abc'))}) ? {inner()} : {inner()})"
        case 5:
            return f"[{inner()}, {inner()}]"
        case 6:
            return f"{{'k': {inner()}}}"
        case 7:
            x = draw(st.sampled_from(["x", "y", "inputs"]))
            return f"{inner()}.map({x}, {inner((x,))})"
        case 8:
            return f"{inner()}[{inner()}]"
        case _:
            return f"size({inner()})"


def _found(data: Mapping[str, Any], reference: Reference) -> Any:
    value: Any = data
    for name in reference:
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = cast("dict[str, Any]", value)[name]
    return value


def _said(run: Any) -> Any:
    try:
        return run()
    except ExpressionError:
        return ExpressionError


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sources(), st.dictionaries(st.sampled_from("abc"), DATA, max_size=3), st.dictionaries(st.sampled_from("abc"), DATA)
)
def test_what_is_not_referenced_never_matters(source: str, inputs: dict[str, Any], steps: dict[str, Any]) -> None:
    data = {"inputs": inputs, "steps": steps}
    expression = _said(lambda: CEL.compile(source))
    assume(expression is not ExpressionError)
    whole = _said(lambda: expression.evaluate(data))
    bound = _said(lambda: Template("${" + source + "}", CEL).render(lambda reference: _found(data, reference)))
    assert bound == whole


def test_references_end_where_the_path_is_not_known_before_the_run() -> None:
    assert CEL.compile("steps.a.output.files[0].name").references == (("steps", "a", "output", "files"),)
    assert CEL.compile("steps['a-b'].output").references == (("steps", "a-b", "output"),)
    assert CEL.compile("inputs[inputs.k]").references == (("inputs",), ("inputs", "k"))
    assert CEL.compile("inputs.l.map(inputs, inputs.x)").references == (("inputs", "l"),)
    assert CEL.compile("x.y", ["x"]).references == (("x", "y"),)
