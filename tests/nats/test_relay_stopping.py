"""A relay that is stopped ends, whatever happens to what it was asking just then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from events.errors import BusUnavailable
from infra.nats.provision import Retention, facts_config
from infra.nats.relay import Relay
from tests.nats.fakes import Log, event


class Silent:
    """A server that has the stream, and keeps whoever asks for a message of it waiting."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(new_inbox=lambda: "_INBOX.relay", max_payload=1 << 20)
        self.on_reconnect: list[Callable[[], None]] = []
        self.asked: list[asyncio.Future[tuple[bytes, bytes]]] = []

    async def up(self) -> None: ...

    async def stop(self) -> None: ...

    async def listen(self, subject: str, receive: object) -> Silent:
        return self

    async def jetstream(self, action: str, body: object = None) -> dict[str, Any]:
        state = {"messages": 2, "first_seq": 1, "last_seq": 2}
        return {"created": "today", "state": state, "config": facts_config(Retention())}

    async def request(self, subject: str, data: bytes, *, timeout: float) -> tuple[bytes, bytes]:
        answer: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        return await answer


async def test_one_of_its_questions_fails_in_the_same_moment() -> None:
    server = Silent()
    relay = Relay(cast("Any", server), cast("Any", Log([event(1), event(2)])))
    await relay.start()
    async with asyncio.timeout(10):
        while len(server.asked) < 2:
            await asyncio.sleep(0)
    server.asked[0].set_exception(BusUnavailable("the server does not answer"))
    await asyncio.sleep(0)  # the question has failed, and who asked does not know it yet
    async with asyncio.timeout(5) as limit:
        await relay.stop()
    assert not limit.expired()
