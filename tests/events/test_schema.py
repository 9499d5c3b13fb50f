"""The documents made from the registry are valid, complete, and true to what is stored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from events import Registry, versioned
from events.errors import BadDefinition
from events.registry import Type
from events.schema import asyncapi, json_schema, json_schemas
from gateway.examples.ledger.workspace import plugin as ledger

GOLDEN = Path(__file__).parent / "golden"


class Leaf(msgspec.Struct, frozen=True):
    """A leaf."""

    label: str
    above: Tree | None = None


class Tree(msgspec.Struct, frozen=True):
    """A tree.

    It refers to itself.
    """

    leaves: list[Leaf] = []
    below: list[Tree] = []
    size: int = 0


class Point(msgspec.Struct, frozen=True):
    x: int


TOYS = Registry([Tree, versioned(Point, name="geo.Point", schema=2, upcasters={1: lambda value: value})])


def test_every_golden_event_fits_the_schema_of_its_type(released: list[Type]) -> None:
    for type in released:
        schema = json_schema(type)
        Draft202012Validator.check_schema(schema)
        golden = json.loads((GOLDEN / f"{type.name}.v{type.schema}.json").read_bytes())
        Draft202012Validator(schema).validate(golden)
        assert not Draft202012Validator(schema).is_valid([])
        for field in msgspec.structs.fields(type.struct):
            if field.required:
                assert not Draft202012Validator(schema).is_valid({k: v for k, v in golden.items() if k != field.name})


def test_a_type_that_refers_to_itself_and_to_others_is_described_whole() -> None:
    tree = TOYS.get("Tree")
    assert tree is not None
    value = msgspec.to_builtins(Tree([Leaf("a", Tree())], [Tree([Leaf("b")], [], 1)]))
    wrong = {"leaves": [], "below": [{"below": [{"leaves": [{"label": 5}]}]}]}
    for schema in (json_schema(tree), {**json_schemas(TOYS), "$ref": "#/$defs/Tree"}):
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        validator.validate(value)
        assert not validator.is_valid(wrong)


def test_a_type_is_called_by_its_registered_name_and_version() -> None:
    point = TOYS.get("geo.Point")
    assert point is not None
    schema = json_schema(point)
    assert (schema["title"], schema["$id"]) == ("geo.Point", "urn:thespis:type:geo.Point:2")
    assert set(json_schemas(TOYS)["$defs"]) == {"Tree", "Tree.Tree", "Tree.Leaf", "geo.Point"}


def test_two_types_that_hold_structs_of_the_same_name_do_not_mix() -> None:
    first = msgspec.defstruct("One", [("part", msgspec.defstruct("Part", [("a", int)]))])
    second = msgspec.defstruct("Two", [("part", msgspec.defstruct("Part", [("b", str)]))])
    document = json_schemas([versioned(first), versioned(second)])
    assert Draft202012Validator({**document, "$ref": "#/$defs/One"}).is_valid({"part": {"a": 1}})
    assert not Draft202012Validator({**document, "$ref": "#/$defs/Two"}).is_valid({"part": {"a": 1}})


def test_a_type_without_a_schema_is_a_bad_definition() -> None:
    class Odd(msgspec.Struct):
        thing: re.Pattern[str]

    with pytest.raises(BadDefinition, match="Odd has no JSON Schema"):
        json_schema(Type("Odd", Odd))


def documents(released: list[Type]) -> dict[str, Any]:
    messages = {kind.name: kind.messages for kind in ledger.kinds}
    return asyncapi([*released, *TOYS], {**messages, "toy": TOYS}, servers={"local": "127.0.0.1:4222"})


def resolve(document: Any, reference: str) -> Any:
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        document = document[part]
    return document


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_every_reference_of_the_bus_document_leads_somewhere(released: list[Type]) -> None:
    document = documents(released)
    found = references(document)
    assert len(found) > 100
    for reference in found:
        assert isinstance(resolve(document, reference), dict)


def test_the_bus_document_has_the_shape_of_asyncapi_3(released: list[Type]) -> None:
    document = documents(released)
    assert document["asyncapi"] == "3.0.0"
    assert set(document) == {
        "asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components",
    }  # fmt: skip
    assert {"title", "version"} <= set(document["info"])
    for section in document["components"].values():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in section)
    for channel in document["channels"].values():
        named = re.findall(r"\{(\w+)\}", channel["address"] or "")
        assert sorted(channel.get("parameters", {})) == sorted(named)
        assert set(channel) <= {"address", "description", "messages", "parameters"}
        assert channel["messages"]
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = resolve(document, operation["channel"]["$ref"])
        assert {ref["$ref"].rsplit("/", 1)[1] for ref in operation["messages"]} == set(channel["messages"])
        assert set(operation) <= {"action", "channel", "messages", "reply", "bindings"}
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_type_travels_in_the_bus_document(released: list[Type]) -> None:
    document = documents(released)
    facts = {resolve(document, ref["$ref"])["name"] for ref in document["channels"]["facts"]["messages"].values()}
    assert facts == {type.name for type in [*released, *TOYS]}
    asks = {resolve(document, ref["$ref"])["name"] for ref in document["channels"]["ask"]["messages"].values()}
    assert {"Open", "Deposit", "Transfer", "Tree"} <= asks


def test_the_same_types_give_the_same_bytes(released: list[Type]) -> None:
    first = json.dumps(documents(released))
    assert first == json.dumps(documents(list(reversed(released))))


def test_the_headers_of_a_fact_are_those_the_bus_really_sends(released: list[Type]) -> None:
    from events import cloudevents
    from events.envelope import Event

    event = Event(
        7, "default", "account/1", 3, "0198f7a1-2c3d-7abc-8def-0123456789ab", "Deposited", 1, b'{"amount":5}',
        "m", "c", 1, 1_700_000_000_000_000, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None, bytes(32),
    )  # fmt: skip
    sent = cloudevents.headers(cloudevents.from_event(event))
    schema = documents(released)["components"]["schemas"]["Facts"]
    Draft202012Validator(schema).validate(sent)
    assert set(sent) - {"ce-traceparent"} <= set(schema["properties"])
