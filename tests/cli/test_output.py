"""What is printed can be read by people and by programs, and never obeys a stranger."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.output import cell, emit, fields, printable, rows, when

ITEMS = [{"name": "a", "size": 1, "more": {"x": [1]}}, {"name": "bb", "size": None, "more": None}]


def test_a_table_has_the_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    rows(ITEMS, ("name", "size", "more"), "table")
    assert capsys.readouterr().out == 'NAME  SIZE  MORE\na     1     {"x":[1]}\nbb\n'


def test_programs_get_whole_items_whatever_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows(ITEMS, ("name",), "json")
    assert json.loads(capsys.readouterr().out) == ITEMS
    rows(ITEMS, ("name",), "jsonl")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ITEMS
    rows(ITEMS, ("name",), "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == ITEMS


def test_nothing_is_an_empty_list_for_programs_and_a_word_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    rows([], ("name",), "json", empty="no names")
    assert capsys.readouterr() == ("[]\n", "")
    rows([], ("name",), "table", empty="no names")
    assert capsys.readouterr() == ("", "no names\n")


def test_one_thing_is_printed_name_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    fields({"name": "a", "open": True, "none": None}, "table")
    assert capsys.readouterr().out == "name  a\nopen  yes\nnone  \n"


def test_json_keeps_its_letters_and_large_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"ä": 2**63 - 1}, "json")
    assert capsys.readouterr().out == '{\n  "ä": 9223372036854775807\n}\n'


@given(st.text())
def test_no_text_from_outside_can_command_the_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert not any(char in shown for char in "\u202e\u2066")


def test_values_that_are_not_text_are_json_in_a_cell() -> None:
    assert [cell(value) for value in (None, True, 5, 0.5, [1], {"a": "\x1b"})] == [
        "", "yes", "5", "0.5", "[1]", '{"a":"\\u001b"}',
    ]  # fmt: skip


def test_times_are_utc() -> None:
    assert when(1_700_000_000_123_456) == "2023-11-14T22:13:20.123Z"
