"""Policies from a file or an instance, and calls to be judged by them, as the commands on policies share them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from events.errors import InvalidData
from gateway.cli.http import Api, path

if TYPE_CHECKING:
    from actors.tools.policy import Facts, Published
    from events.tools import ToolDefinition


def of_file(file: str) -> Published:
    """The policy of a file, as version 0. Raises DefinitionInvalid, OSError."""
    from actors.tools.policy import Published, hash_of
    from actors.tools.policy_file import read_policy

    policy = read_policy(Path(file).read_bytes(), file)
    return Published(policy, 0, hash_of(policy))


async def of_instance(api: Api, name: str = "default") -> Published:
    """The newest version that an instance has."""
    from actors.tools.policy import Policy, Published

    found = await api.get(path("policies", name))
    return Published(msgspec.convert(found["rules"], Policy), found["version"], found["hash"])


async def definition_of(api: Api, tool: str) -> ToolDefinition:
    """The definition of a tool that an instance has pinned."""
    from events.tools import ToolDefinition

    found = await api.get(path("tools", tool))
    return msgspec.convert(found["definition"], ToolDefinition)


def pairs(given: tuple[str, ...], what: str) -> dict[str, str]:
    """`name=value` as a map. Raises InvalidData."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidData(f"{text!r} is no {what}", hint="write NAME=VALUE")
        found[name] = value
    return found


def facts(
    definition: ToolDefinition,
    arguments: dict[str, Any],
    labels: dict[str, str],
    *,
    agent: str,
    roles: list[str],
    requesters: list[str],
    tenant: str,
    at: str | None,
) -> Facts:
    """What a call would be judged by. Raises InvalidData for a label or a time that is none."""
    from actors.tools.labels import parse
    from actors.tools.policy import Facts

    fallback = labels.get("*", "untrusted/private" if agent else "trusted/private")
    for label in [*labels.values(), fallback]:
        parse(label)
    try:
        when = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise InvalidData(f"{at!r} is no time", hint="write 2026-11-29T14:00 or 2026-11-29T14:00+01:00") from None
    moment = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return Facts(
        definition, arguments, {name: labels.get(name, fallback) for name in arguments}, requesters, tenant,
        int(moment.timestamp() * 1_000_000), agent, roles,
    )  # fmt: skip
