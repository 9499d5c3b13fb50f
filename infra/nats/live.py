"""The live plane: what is worth seeing now and not worth keeping (tokens of a model, progress). Lossy by design."""

from __future__ import annotations

from events.address import check_tenant, split, token
from events.bus import BusMessage, Handler, Subscription
from infra.nats.wire import Wire


def subject(tenant: str, actor: str, topic: str) -> str:
    """`live.<tenant>.<kind>.<id>.<topic>`. Raises InvalidName."""
    kind, name = split(actor)
    return f"live.{token(check_tenant(tenant))}.{token(kind)}.{token(name)}.{token(topic)}"


def show(bus: Wire, tenant: str, actor: str, topic: str, data: bytes) -> None:
    """Show something to whoever is watching. Raises BusUnavailable when there is no room to buffer."""
    bus.send(subject(tenant, actor, topic), data)


async def watch(bus: Wire, tenant: str, seen: Handler, actor: str | None = None) -> Subscription:
    """Watch a tenant, or one actor of it."""
    if actor is None:
        return await bus.subscribe(f"live.{token(check_tenant(tenant))}.>", seen)
    return await bus.subscribe(subject(tenant, actor, "x").rpartition(".")[0] + ".*", seen)


def topic_of(message: BusMessage) -> str:
    """The last token of a live subject, as it was sent (percent-encoded)."""
    return message.subject.rpartition(".")[2]
