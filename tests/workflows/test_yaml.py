from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.workflows.definition import DefinitionInvalid, read
from actors.workflows.definition.reading import ALIASES, DEEPEST, LARGEST


def _value(text: str | bytes) -> Any:
    return read(text).value


def _refused(text: str | bytes) -> str:
    with pytest.raises(DefinitionInvalid) as caught:
        read(text)
    return "\n".join(str(p) for p in caught.value.problems)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("y", "y"), ("off", "off"), ("true", True), ("FALSE", False),
        ("tRue", "tRue"), ("~", None), ("", None), ("Null", None), ("nULL", "nULL"), ("2026-01-31", "2026-01-31"),
        ("12:30:45", "12:30:45"), ("1_000", "1_000"), ("0o17", 15), ("017", 17), ("0x1F", 31), ("-12", -12), ("+7", 7),
        ("1e3", 1000.0), ("1.5E-3", 0.0015), (".5", 0.5), ("5.", 5.0), ("-1.0", -1.0), ("1e", "1e"), ("0b1", "0b1"),
        ("1.2.3", "1.2.3"), ("-", "-"), ("=", "="), ("'1'", "1"), ('"true"', "true"), ("|\n  1\n", "1\n"),
        ("a#b", "a#b"), ("a # b", "a"), ("-.5", -0.5), ("<<", "<<"), ("0o8", "0o8"), ("12e03", 12000.0),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(written: str, value: Any) -> None:
    text = f"a: {written}" if written != "-" else "a: '-'"
    found = _value(text)["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("written", [".nan", ".inf", "-.INF", "1e999", "9" * 500])
def test_numbers_that_json_does_not_have_are_refused(written: str) -> None:
    assert "quote it" in _refused(f"a: {written}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "4:3: /b/c: the key 'c' is there twice (the first one is in line 3)"),
        ("{a: 1, a: 2}", "1:8: /a: the key 'a' is there twice"),
        ("a: !!int 3", "1:4: /a: the tag tag:yaml.org,2002:int means nothing here"),
        ("a: !!python/object/apply:os.system [ls]", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !x {b: 1}", "1:4: /a: the tag !x"),
        ("a: 1\n---\nb: 2", "2:1: /: a second document begins here"),
        ("a:\n\tb: 1", "2:1: /: found character that cannot start any token (YAML is indented with spaces"),
        ("a: [1, 2", "is a bracket, a quote or an indentation not closed"),
        ("a: b: c", "1:5: /: mapping values are not allowed in this context (quote a text that contains ': ')"),
        ("a: @x", "quote a text that begins with @"),
        ("a: *x", "1:4: /a: there is no anchor &x"),
        ("a: &x [*x]", "1:8: /a/0: the alias *x stands within what it stands for"),
        ("? [a]\n: b", "1:3: /: a key must be text"),
        ("&k a: 1\n*k : 2", "a key must be text"),
        ("? \n: x", "a key is missing"),
        ('"\\ud835\\udcb3"', "write the character itself, not halves"),
        ("", "1:1: /: the document is empty"),
        ("# only a comment\n", "the document is empty"),
        ("---\n...\n", "the document is empty"),
        (b"a: 1\nb: \xff", "2:4: /: this is not UTF-8"),
        ("a: \ud800", "1:4: /: this is not UTF-8"),
        ("a: 1\nb: \x07", "2:4: /: control characters are not allowed"),
        ("a" * (LARGEST + 1), "characters"),
    ],
)
def test_what_is_refused_says_where_and_why(text: str | bytes, said: str) -> None:
    assert said in _refused(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    assert _value(opening * DEEPEST + closing * DEEPEST) is not None
    assert "nested more than" in _refused(opening * (DEEPEST + 1) + closing * (DEEPEST + 1))
    assert "nested more than" in _refused(opening * 200_000)


def test_aliases_share_a_value_and_are_bounded() -> None:
    found = _value("a: &x {b: 1}\nc: *x\n")
    assert found == {"a": {"b": 1}, "c": {"b": 1}}
    many = "a: &x 1\nb: [" + ", ".join(["*x"] * (ALIASES + 1)) + "]"
    assert "aliases" in _refused(many)


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]
    assert "values" in _refused("\n".join(lines))


def test_a_byte_order_mark_and_carriage_returns_are_taken() -> None:
    document = read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n  - y z\r\n")
    assert document.value == {"a": 1, "b": ["x", "y z"]}
    assert document.marks["/b/1"].line == 4
    assert document.marks["/b/1"].column == 5


def test_json_is_read_too() -> None:
    assert _value('{"a": [1, 2.5, null, true, "x\\u00e9\\n"], "b": {}}') == {"a": [1, 2.5, None, True, "xé\n"], "b": {}}


KEYS = st.text("abcxyz_-/~ é𝒳", min_size=1, max_size=6)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["no", "on", "1", "1e3", "~", "", "- a", "a: b", "# c", "${ x }", "0o7", "---", "*a", "&a", "<<"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(KEYS, v, max_size=4), max_leaves=20)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    from actors.workflows.definition.writing import dump, flow

    if value in (None, ""):
        return
    assert repr(_value(dump(value))) == repr(value)
    assert repr(_value(flow(value))) == repr(value)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_text_between_the_marks_of_a_value_says_the_value(data: st.DataObject) -> None:
    from tests.workflows.yaml_texts import written

    value = data.draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
    document = read(data.draw(written(value)))
    assert repr(document.value) == repr(value)
    for pointer, mark in document.marks.items():
        # The first line stands further to the right than the others think.
        text = " " * (mark.column - 1) + document.text[mark.start : mark.end]
        expected: Any = value
        for name in pointer.split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            expected = expected[int(name)] if isinstance(expected, list) else expected[name]
        if mark.start == mark.end:
            assert expected is None
        else:
            assert repr(_value(text)) == repr(expected)
        line = document.text.count("\n", 0, mark.start) + 1
        assert (line, mark.start - document.text.rfind("\n", 0, mark.start)) == (mark.line, mark.column)
    for pointer, mark in document.keys.items():
        name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        assert list(_value(f"{{{document.text[mark.start : mark.end]}: 1}}")) == [name]


def test_a_block_scalar_ends_with_its_last_line() -> None:
    text = "a: |  # text\n  one\n\n  two\n\n# comment\nb: >-\n  x\n  y\nc: |+\n  z\n\nd: 1\n"
    document = read(text)
    marks = document.marks
    assert document.value == {"a": "one\n\ntwo\n", "b": "x y", "c": "z\n\n", "d": 1}
    assert text[marks["/a"].start : marks["/a"].end] == "|  # text\n  one\n\n  two"
    assert text[marks["/b"].start : marks["/b"].end] == ">-\n  x\n  y"
    assert text[marks["/c"].start : marks["/c"].end] == "|+\n  z\n\n"


def test_what_an_alias_stands_for_has_no_marks_below_the_alias() -> None:
    document = read("a: &x {b: 1}\nc: *x\n")
    assert "/c" in document.marks
    assert "/c/b" not in document.marks
    problem = document.problem("/c/b", "wrong")
    assert (problem.line, problem.column, problem.pointer) == (2, 4, "/c")
