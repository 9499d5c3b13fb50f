"""While the log takes nothing: who waits outside is told, whatever stands before them; what has a row waits on."""

from __future__ import annotations

from actors.core.cell import Work
from actors.core.draft import Draft
from actors.core.host import Host
from events.address import partition_of
from events.envelope import Answer, Message
from events.errors import StoreUnavailable, ThespisError
from events.ids import random_id
from events.store import MailKey
from infra.memory.store import MemoryStore
from tests.kernel.counter import plugin

FULL = StoreUnavailable("the disk is full")


def message() -> Message:
    return Message(random_id(1), "Add", "counter/a", "default", b'{"n":1}', "user:test", 1, "", "")


async def test_who_asks_is_told_although_a_tell_that_is_tried_again_stands_before_them() -> None:
    host = Host(MemoryStore(now=lambda: 1), plugin())
    partition = partition_of("default", "counter/a")
    cell = host.cell("default", "counter/a", partition)
    assert cell is not None
    told: list[Answer | ThespisError] = []
    tell = Work(message(), mail=MailKey(partition, 7, 0), solo=True)
    later = Work(message(), mail=MailKey(partition, 8, 0))
    for work in (tell, Work(message(), done=told.append), later, Work(message(), done=told.append)):
        host.run_queue.enqueue(cell, work)
    draft = Draft(cell)
    draft.works.append(host.run_queue.take(cell))
    host.verdicts.take(cell, draft, FULL, None)
    assert told == [FULL, FULL]
    assert list(cell.queue or ()) == [tell, later]
    assert host.waiting == 2
