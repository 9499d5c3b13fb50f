"""The registry as documents others can read: JSON Schema 2020-12 of every type, and AsyncAPI 3.0 of the bus.

Pure, and made from the registry alone: the same types give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from events.address import PARTITIONS
from events.errors import BadDefinition
from events.registry import Type

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_RAW: Final = {"description": "Any JSON."}


def json_schema(type: Type) -> dict[str, Any]:
    """The self-contained JSON Schema of one type, at its current schema version. Raises BadDefinition."""
    main, others = _schemas(type, "#/$defs/", "")
    document = {"$schema": DIALECT, "$id": f"urn:thespis:type:{type.name}:{type.schema}", **main}
    return {**document, "$defs": others} if others else document


def json_schemas(types: Iterable[Type]) -> dict[str, Any]:
    """One JSON Schema document that defines every type under `$defs`, by its name. Raises BadDefinition."""
    found: dict[str, Any] = {}
    for type in sorted(types, key=lambda t: t.name):
        main, others = _schemas(type, "#/$defs/", f"{type.name}.")
        found |= {type.name: main, **others}
    return {"$schema": DIALECT, "$id": "urn:thespis:types", "$defs": found}


def asyncapi(
    events: Iterable[Type],
    messages: Mapping[str, Iterable[Type]],
    *,
    title: str = "Thespis",
    version: str = "1",
    servers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An AsyncAPI 3.0 document of what travels on the bus, seen from the system: what it sends and receives there.

    `events` are recorded and sent as facts, `messages` (by actor kind) are what actors can be asked. `servers` names
    NATS servers as name → host:port. Raises BadDefinition.
    """
    schemas: dict[str, Any] = {
        "Facts": _headers("a recorded event", ("id", "source", "type", "time", "correlationid", "position"), _FACT),
        "CloudEvent": _headers("an event from outside", ("id", "source", "type"), _CLOUD_EVENT),
        "Ask": _headers("a message to an actor", ("type",), _ASK, specversion=False),
        "Published": _object("Sent after the commit.", {"id": _STRING, "position": _NUMBER}),
        "Answer": _object(
            "Sent after the commit; the same message id again gets the first answer again.",
            {"outcome": {"enum": ["handled", "refused", "skipped"]}, "position": _NUMBER, "version": _NUMBER},
            {"data": _RAW, "duplicate": {"type": "boolean"}},
        ),
    }
    found: dict[str, Any] = {}
    for type in sorted(events, key=lambda t: t.name):
        _message(found, schemas, f"event.{type.name}", type, "Facts")
    asks: list[str] = []
    for kind in sorted(messages):
        for type in sorted(messages[kind], key=lambda t: t.name):
            key = f"ask.{kind}.{type.name}"
            _message(found, schemas, key, type, "Ask")
            asks.append(key)
    facts = list(found)[: len(found) - len(asks)]
    for key, headers, payload in (
        ("CloudEvent", "CloudEvent", _RAW),
        ("Published", "", _ref("schemas", "Published")),
        ("Answer", "", _ref("schemas", "Answer")),
        ("Live", "", _RAW),
        ("Head", "", {"type": "string", "pattern": "^[0-9]+$", "description": "the last position of the log"}),
    ):
        found[key] = {"name": key, "contentType": "application/json", "payload": payload}
        if headers:
            found[key]["headers"] = _ref("schemas", headers)
    found["Head"]["contentType"] = "text/plain"
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
    }
    if servers:
        document["servers"] = {name: {"host": host, "protocol": "nats"} for name, host in servers.items()}
    channels, operations = _planes(facts, asks)
    return {
        **document,
        "channels": channels,
        "operations": operations,
        "components": {"messages": found, "schemas": schemas},
    }


# -- types


def _schemas(type: Type, prefix: str, scope: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a type and, by name, those it refers to; names of the latter begin with `scope`."""
    try:
        (main,), components = msgspec.json.schema_components([type.struct], ref_template="{name}")
    except TypeError as error:
        raise BadDefinition(f"{type.name} has no JSON Schema: {error}", hint="use JSON-ready field types") from error
    root = main.get("$ref", "")
    names = {name: prefix + scope + name for name in components}
    refers_to_itself = f'"$ref":"{root}"' in msgspec.json.encode(components).decode()
    others = {
        scope + name: _rewritten(schema, names)
        for name, schema in components.items()
        if name != root or refers_to_itself
    }
    body = _rewritten(components[root] if root else main, names)
    return {**body, "title": type.name}, others


def _rewritten(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with its references turned into places of the document it goes into."""
    if isinstance(schema, dict):
        items = cast(dict[str, Any], schema).items()
        return {k: names[v] if k == "$ref" and v in names else _rewritten(v, names) for k, v in items}
    return [_rewritten(item, names) for item in cast(list[Any], schema)] if isinstance(schema, list) else schema


def _message(found: dict[str, Any], schemas: dict[str, Any], key: str, type: Type, headers: str) -> None:
    main, others = _schemas(type, "#/components/schemas/", f"{key}.")
    schemas |= {key: main, **others}
    found[key] = {
        "name": type.name,
        "contentType": "application/json",
        "headers": _ref("schemas", headers),
        "payload": _ref("schemas", key),
        "x-schema-version": type.schema,
    }
    if main.get("description"):
        found[key]["summary"] = main["description"].split("\n")[0]


# -- the bus

_ABOUT: Final = (
    "Every committed event is a CloudEvent 1.0 (NATS binding, binary mode) on `ev.`; anyone can publish CloudEvents "
    "on `pub.` (answered after the commit) or `spool.`, and ask actors on `ask.`. Subject tokens are percent-encoded."
)

_STRING: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_DIGITS: Final = {"type": "string", "pattern": "^[0-9]+$"}

_CLOUD_EVENT: Final[dict[str, Any]] = {
    "ce-id": {**_STRING, "description": "with ce-source the event's identity: the same again changes nothing"},
    "ce-source": {"type": "string", "format": "uri-reference"},
    "ce-type": _STRING,
    "ce-time": {"type": "string", "format": "date-time"},
    "ce-subject": _STRING,
    "ce-datacontenttype": _STRING,
    "ce-dataschema": {"type": "string", "format": "uri"},
    "ce-correlationid": {**_STRING, "description": "what started it all"},
    "ce-causationid": {**_STRING, "description": "the event or message that directly caused this"},
    "traceparent": {**_STRING, "description": "W3C Trace Context"},
}
_FACT: Final[dict[str, Any]] = {
    **_CLOUD_EVENT,
    "ce-position": {**_DIGITS, "description": "gapless place in the log"},
    "ce-streamversion": {**_DIGITS, "description": "gapless place in the stream, from 1"},
    "ce-schemaversion": {**_DIGITS, "description": "version of the type's schema"},
    "ce-tenant": _STRING,
    "ce-stream": {**_STRING, "description": "the actor whose history this is, kind/id"},
    "ce-recordedtime": {"type": "string", "format": "date-time", "description": "when committed, if not ce-time"},
    "ce-dataref": {**_STRING, "description": "the data was too large for the bus; it is in the log"},
}
_ASK: Final[dict[str, Any]] = {
    "ce-type": {**_STRING, "description": "the message's type"},
    "ce-source": {**_STRING, "description": "who asks"},
    "thespis-id": {"type": "string", "format": "uuid", "description": "the same again gets the first answer"},
    "thespis-schema": {**_DIGITS, "description": "version of the type's schema, 1 unless given"},
    "thespis-deadline": {**_DIGITS, "description": "when the asker stops waiting, microseconds since 1970"},
    "thespis-correlation": _STRING,
    "thespis-causation": _STRING,
    "traceparent": _STRING,
}
_PARAMETERS: Final = {
    "tenant": {"description": "The tenant, `default` when nobody asked for more.", "default": "default"},
    "kind": {"description": "The actor's kind."},
    "id": {"description": "The actor's id within its kind."},
    "type": {"description": "The type of the event."},
    "topic": {"description": "What is shown."},
    "partition": {"description": f"CRC-32 of `tenant/kind/id` modulo {PARTITIONS}."},
}


def _planes(facts: list[str], asks: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    channels = {
        "facts": _channel(
            "ev.{tenant}.{kind}.{id}.{type}", facts, "Committed events, in order of position (JetStream stream EV)."
        ),
        "publish": _channel("pub.{tenant}.{type}", ["CloudEvent"], "Publish by request; the reply is the commit."),
        "spool": _channel("spool.{tenant}.{type}", ["CloudEvent"], "Publish and go (JetStream stream SPOOL)."),
        "ask": _channel("ask.{partition}.{tenant}.{kind}.{id}", asks, "Messages to actors, by request."),
        "live": _channel("live.{tenant}.{kind}.{id}.{topic}", ["Live"], "Worth seeing now, kept nowhere."),
        "head": _channel("ctl.head", ["Head"], "Rung after commits: the log has grown. Lossy."),
        "published": _reply(["Published"]),
        "answer": _reply(["Answer"]),
    }
    operations = {
        "sendFacts": _operation("send", "facts", facts),
        "receivePublish": _operation("receive", "publish", ["CloudEvent"], "published", ["Published"]),
        "receiveSpool": _operation("receive", "spool", ["CloudEvent"]),
        "receiveAsk": _operation("receive", "ask", asks, "answer", ["Answer"]),
        "sendLive": _operation("send", "live", ["Live"]),
        "sendHead": _operation("send", "head", ["Head"]),
    }
    return channels, operations


def _channel(address: str, messages: list[str], description: str) -> dict[str, Any]:
    names = [part.strip("{}") for part in address.split(".") if part.startswith("{")]
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {key: _ref("messages", key) for key in messages},
    }
    if names:
        channel["parameters"] = {name: _PARAMETERS[name] for name in names}
    return channel


def _reply(messages: list[str]) -> dict[str, Any]:
    return {
        "address": None,
        "description": "The reply subject of the request.",
        "messages": {key: _ref("messages", key) for key in messages},
    }


def _operation(
    action: str, channel: str, messages: list[str], reply: str = "", replies: list[str] | None = None
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{key}"} for key in messages],
    }
    if channel == "publish":
        operation["bindings"] = {"nats": {"queue": "thespis", "bindingVersion": "0.1.0"}}
    if reply:
        operation["reply"] = {
            "channel": {"$ref": f"#/channels/{reply}"},
            "messages": [{"$ref": f"#/channels/{reply}/messages/{key}"} for key in replies or []],
        }
    return operation


def _headers(
    what: str, required: tuple[str, ...], properties: Mapping[str, Any], specversion: bool = True
) -> dict[str, Any]:
    known = {"ce-specversion": {"const": "1.0"}, **properties} if specversion else dict(properties)
    needed = [*(["ce-specversion"] if specversion else []), *(f"ce-{name}" for name in required)]
    return {"type": "object", "description": f"Headers of {what}.", "properties": known, "required": needed}


def _object(description: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _ref(section: str, key: str) -> dict[str, str]:
    return {"$ref": f"#/components/{section}/{key}"}
