"""History is law: the bytes of every released event type, in every version there ever was, are read for ever.

`golden/<Type>.v<schema>.json` holds them. A new type or version adds a file with all its fields set; no file is ever
edited or removed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from events import Raw, Registry, versioned
from events.errors import BadDefinition, InvalidData
from events.registry import Type

GOLDEN = Path(__file__).parent / "golden"

FILES = sorted(GOLDEN.glob("*.json"))


def parts(file: Path) -> tuple[str, int]:
    name, _, version = file.name.removesuffix(".json").rpartition(".v")
    return name, int(version)


def test_every_released_type_and_version_has_its_bytes(released: list[Type]) -> None:
    there = {parts(file) for file in FILES}
    expected = {(type.name, version) for type in released for version in range(1, type.schema + 1)}
    assert expected - there == set(), "add tests/events/golden/<Type>.v<schema>.json with every field set"
    assert there - expected == set(), "a released type or version is gone: history can no longer be read"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_bytes_decode_and_encode_to_themselves(file: Path, released: list[Type]) -> None:
    name, version = parts(file)
    data = file.read_bytes()
    registry = Registry(released)
    value = registry.decode(name, version, data)
    assert registry.of(value).name == name
    if version == registry.of(value).schema:
        assert registry.encode(value) == data


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_bytes_set_every_field_so_that_none_can_be_renamed_unnoticed(file: Path, released: list[Type]) -> None:
    name, version = parts(file)
    type = next(type for type in released if type.name == name)
    if version == type.schema:
        fields = {field.encode_name for field in msgspec.structs.fields(type.struct)}
        assert set(msgspec.json.decode(file.read_bytes())) == fields


# -- upcasting, with toys


class PriceV3(msgspec.Struct, frozen=True):
    cents: int
    currency: str


def to_cents(value: dict[str, object]) -> dict[str, object]:
    """v1 had `amount`, in whole units."""
    return {"cents": int(str(value["amount"])) * 100}


def to_currency(value: dict[str, object]) -> dict[str, object]:
    """v2 knew only euros."""
    return {**value, "currency": "EUR"}


@pytest.fixture
def prices() -> Registry:
    return Registry([versioned(PriceV3, name="Price", schema=3, upcasters={1: to_cents, 2: to_currency})])


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        (1, b'{"amount":5}', PriceV3(500, "EUR")),
        (2, b'{"cents":505}', PriceV3(505, "EUR")),
        (3, b'{"cents":505,"currency":"CHF"}', PriceV3(505, "CHF")),
    ],
)
def test_old_versions_become_the_current_one_step_by_step(
    prices: Registry, schema: int, data: bytes, expected: PriceV3
) -> None:
    assert prices.decode("Price", schema, data) == expected
    assert prices.understands("Price", schema)


def test_a_version_from_the_future_stays_raw_and_is_not_lost(prices: Registry) -> None:
    assert prices.decode("Price", 4, b'{"x":1}') == Raw("Price", b'{"x":1}', 4)
    assert not prices.understands("Price", 4)


def test_an_unknown_type_stays_raw_and_is_not_lost(prices: Registry) -> None:
    assert prices.decode("Weather", 1, b"[1]") == Raw("Weather", b"[1]", 1)


@pytest.mark.parametrize(
    ("schema", "data"),
    [(1, b"[]"), (1, b'{"amount":'), (2, b'{"cents":"many"}'), (3, b'{"cents":1}'), (3, b"\xff")],
)
def test_bytes_that_do_not_fit_their_version_are_named_not_guessed(prices: Registry, schema: int, data: bytes) -> None:
    with pytest.raises(InvalidData, match=r"^Price: "):
        prices.decode("Price", schema, data)


@pytest.mark.parametrize("upcasters", [{}, {1: to_cents}, {2: to_currency}, {1: to_cents, 2: to_currency, 3: to_cents}])
def test_a_gap_in_the_chain_of_upcasters_is_a_bad_definition(upcasters: dict[int, object]) -> None:
    with pytest.raises(BadDefinition, match="upcasters from"):
        versioned(PriceV3, schema=3, upcasters=upcasters)


def test_two_types_of_one_name_are_a_bad_definition(prices: Registry) -> None:
    class Price(msgspec.Struct):
        pass

    with pytest.raises(BadDefinition, match="two types are named Price"):
        prices.add(Price)
