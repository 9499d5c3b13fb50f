"""Which events a reader wants. The log holds those of all tenants; a reader sees those of one."""

from __future__ import annotations

from typing import Any

import msgspec

from events.address import check_type, split
from events.envelope import Event
from gateway.http.route import Call


class Filter(msgspec.Struct, frozen=True):
    """What an event must be; empty members ask nothing."""

    tenant: str
    types: frozenset[str] = frozenset()
    stream: str | None = None
    correlation: str | None = None

    def __call__(self, event: Event) -> bool:
        """Whether the event is wanted."""
        return (
            event.tenant == self.tenant
            and (not self.types or event.type in self.types)
            and (self.stream is None or event.stream == self.stream)
            and (self.correlation is None or event.correlation == self.correlation)
        )


def wanted(call: Call) -> Filter:
    """The filter in a request's parameters `type`, `stream`, `correlation`. Raises InvalidName."""
    query: Any = call.query
    if query.stream is not None:
        split(query.stream)
    return Filter(call.tenant, frozenset(map(check_type, query.type)), query.stream, query.correlation)
