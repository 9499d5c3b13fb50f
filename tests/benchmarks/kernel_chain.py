"""From a tell to a row somebody can read: actor → actor → projection, one at a time, on real servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from actors import Kind, Message, Plugin, Tell
from actors.core.host import wall_clock
from events.envelope import Answer
from events.ids import random_id
from gateway.process import Options, running
from gateway.settings import Settings
from projections import Projection, Query, Ref, Rows, Table

ROUNDS = 400


class Start(msgspec.Struct, frozen=True):
    to: str


class Arrive(msgspec.Struct, frozen=True):
    pass


class Started(msgspec.Struct, frozen=True):
    to: str


class Arrived(msgspec.Struct, frozen=True):
    pass


class Seen(msgspec.Struct):
    count: int = 0


def decide(state: Seen, message: Message) -> list[Any]:
    if isinstance(message.data, Start):
        return [Started(message.data.to), Tell(message.data.to, Arrive())]
    return [Arrived()]


def evolve(state: Seen, event: Any) -> Seen:
    state.count += 1
    return state


walker = Kind("walker", state=Seen, decide=decide, evolve=evolve, messages=[Start, Arrive], events=[Started, Arrived])
ARRIVALS = Table("arrivals", {"tenant": str, "actor": str, "count": int}, key=("tenant", "actor"))


def keys(event: Any, data: Any) -> list[Ref]:
    return [(ARRIVALS, (event.tenant, event.stream))]


def apply(rows: Rows, event: Any, data: Any) -> None:
    row = rows.get(ARRIVALS, event.tenant, event.stream)
    row = row or {"tenant": event.tenant, "actor": event.stream, "count": 0}
    row["count"] += 1
    rows.put(ARRIVALS, row)


arrivals = Projection("arrivals", 1, tables=[ARRIVALS], types=[Arrived], keys=keys, apply=apply)


async def chain(servers: Any, emit: Callable[..., None]) -> None:
    """The time from sending the first message until the projection's cursor has passed what it led to."""
    options = Options(
        database_url=servers.postgres_url,
        nats_url=servers.nats_url,
        nats_relay_url=getattr(servers, "nats_relay_url", servers.nats_url),
        plugin=Plugin(kinds=[walker], projections=[arrivals]),
        settings=Settings(port=0),
    )
    seconds: list[float] = []
    async with running(options) as host:
        door = host.door
        for number in range(ROUNDS + 50):
            to = f"walker/to-{number % 20}"
            body, id = msgspec.json.encode(Start(to)), random_id()
            sender = f"walker/from-{number % 20}"
            message = Message(id, "Start", sender, "default", body, "user:b", wall_clock(), "", "")
            begin = time.perf_counter()
            answer: Answer = await door.client.ask(message)
            # The receiver's event is the next one in the log: nobody else writes here.
            await door.projections.wait("arrivals", answer.position + 1, 5.0)
            if number >= 50:
                seconds.append(time.perf_counter() - begin)
        page = await door.models.query("arrivals", Query(tenant="default"))
        assert sum(row["count"] for row in page.rows) == ROUNDS + 50
    emit(case="tell chain: actor, actor, projection visible", seconds=seconds, floor_ms=6.0)


CASES = [("tell-chain", chain)]
