"""A host whose actor takes the process with it. Run by the tests as a process of its own:

python -m tests.kernel.doomed DSN MARK kill|hang|grow|look
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from actors import Kind, Message, Plugin, Tell
from actors.core.hand import Hand
from actors.core.host import Host
from events.errors import NotFound
from events.ids import random_id
from infra.postgres.store import open_store


class Send(msgspec.Struct, frozen=True):
    how: str


class Die(msgspec.Struct, frozen=True):
    how: str


class Ok(msgspec.Struct, frozen=True):
    pass


class State(msgspec.Struct):
    handled: int = 0


def decide(state: State, message: Message) -> list[Any]:
    match message.data:
        case Send(how):
            return [Ok(), Tell("doomed/victim", Die("not")), Tell("doomed/victim", Die(how))]
        case Die("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        case Die("hang"):
            while True:
                pass
        case Die("grow"):
            more: list[bytes] = []
            while True:
                more.append(b"x" * 1_000_000)
        case _:
            pass
    return [Ok()]


def evolve(state: State, event: Any) -> State:
    state.handled += 1
    return state


doomed = Kind("doomed", state=State, decide=decide, evolve=evolve, messages=[Send, Die], events=[Ok])


async def main(dsn: str, mark: Path, how: str) -> None:
    """Send the deadly tell unless we only look; then wait until the victim is parked, and say so."""
    with Hand(mark, hang_after=1.5, grow_limit=200_000_000) as hand:
        async with open_store(dsn) as store:
            host = Host(store, Plugin(kinds=[doomed]), hand=hand)
            await host.start()
            if how != "look":
                body = msgspec.json.encode(Send(how))
                id = random_id()
                await host.ask(Message(id, "Send", "doomed/sender", "default", body, "user:t", host.now(), "", id))
            view = None
            while view is None or view.parked is None:
                await asyncio.sleep(0.02)
                with suppress(NotFound):
                    view = await host.view("default", "doomed/victim")
            body, id = msgspec.json.encode(Die("not")), random_id()
            other = Message(id, "Die", "doomed/other", "default", body, "user:t", host.now(), "", id)
            answer = await host.ask(other)
            print(f"{view.parked}, after {view.state['handled']} messages; others: {answer.outcome}")
            await host.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
