"""How what is sealed looks on the command line: a word for people, the whole object for programs."""

from __future__ import annotations

import msgspec
import pytest

from gateway.cli.output import cell, fields

SEALED = {"$sealed": {"v": 1, "key": "0" * 32, "box": "A" * 200}}
EVENT = {"position": 7, "data": {"who": "p1", "email": SEALED, "notes": [{"text": {"$erased": True}}]}}


def test_people_see_a_word_where_something_is_sealed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cell(EVENT["data"]) == '{"who":"p1","email":"sealed","notes":[{"text":"erased"}]}'
    fields(EVENT, "table")
    shown = capsys.readouterr().out
    assert '"sealed"' in shown
    assert "AAAA" not in shown


def test_programs_get_the_object(capsys: pytest.CaptureFixture[str]) -> None:
    fields(EVENT, "json")
    assert msgspec.json.decode(capsys.readouterr().out) == EVENT
