"""The live plane: what is worth seeing now and not worth keeping (tokens of a model, progress). Lossy by design."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote

from events.address import check_tenant, split, token
from events.bus import BusMessage, Handler, Subscription
from events.errors import BusUnavailable
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


class LivePlane:
    """The live plane as the door sees it."""

    def __init__(self, bus: Wire) -> None:
        self._bus = bus

    async def watch(self, tenant: str, actor: str, seen: Callable[[str, bytes], None]) -> Subscription:
        """Be shown (topic, data) of one actor from when this returns. `seen` must not block or raise."""

        def receive(message: BusMessage) -> None:
            seen(unquote(topic_of(message)), message.data)

        subscription = await self._bus.listen(subject(tenant, actor, "x").rpartition(".")[0] + ".*", receive)
        with suppress(BusUnavailable):  # subscriptions are made again after a reconnect
            await self._bus.settled()
        return subscription
