"""Boxes, the master key, the record beside the database, and definitions that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from events import Erased, Registry, subject
from events.errors import BadDefinition, Corrupt, InvalidSetting
from events.registry import as_type
from events.schema import json_schema
from infra.vault import cipher
from infra.vault.master import make_master, read_master
from infra.vault.record import Record, Recorded


def test_a_box_opens_in_its_place_with_its_key_only() -> None:
    key, other = cipher.new_key(), cipher.new_key()
    box = cipher.seal(key, b"ada", b"here", "email")
    assert box == cipher.seal(key, b"ada", b"here", "email")
    assert box != cipher.seal(key, b"ada", b"here", "name")
    assert cipher.open_box(key, box, b"here") == b"ada"
    assert cipher.open_box(key, box, b"there") is None
    assert cipher.open_box(other, box, b"here") is None
    assert cipher.open_box(key, box[:-1] + bytes([box[-1] ^ 1]), b"here") is None
    assert cipher.open_box(key, b"", b"here") is None


def test_the_master_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "vault" / "master.key"
    assert make_master(path) == make_master(path) == read_master(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(InvalidSetting, match="read by others"):
        read_master(path)
    with pytest.raises(InvalidSetting, match="cannot be read"):
        read_master(tmp_path / "none")


def test_a_record_torn_by_a_crash_loses_no_erasure(tmp_path: Path) -> None:
    record = Record(tmp_path / "vault" / "erasures.jsonl")
    assert record.all() == []
    first, second = (Recorded(id, "default", ["k"], "ada", "asked", 1) for id in ("1", "2"))
    record.add(first)
    with record.path.open("ab") as file:
        file.write(b'{"id":"torn","ten')
    assert record.all() == [first]
    record.add(second)
    assert record.all() == [first, second]
    record.path.write_bytes(b"nonsense\n" + record.path.read_bytes())
    with pytest.raises(Corrupt, match="line 1"):
        record.all()


class Unerasable(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[str, subject("who")]


class Nobody(msgspec.Struct, frozen=True):
    email: Annotated[str | Erased, subject("who")]


class Marked(msgspec.Struct, frozen=True):
    who: str
    email: Annotated[str | Erased, subject("who")]


class Twice(msgspec.Struct, frozen=True):
    pairs: list[tuple[Marked, str]]


@pytest.mark.parametrize(
    ("type", "why"), [(Unerasable, "cannot be erased"), (Nobody, "no field 'who'"), (Twice, "cannot be found")]
)
def test_a_mark_that_could_not_be_kept_is_refused(type: type, why: str) -> None:
    with pytest.raises(BadDefinition, match=why):
        Registry([type])


def test_the_schema_shows_the_mark() -> None:
    assert json_schema(as_type(Marked))["properties"]["email"]["x-subject"] == "who"
