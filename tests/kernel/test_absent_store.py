"""While the log takes nothing: who waits outside is told, whatever stands before them; what has a row waits on."""

from __future__ import annotations

from actors.core.cell import Cell, Work
from actors.core.draft import Draft
from actors.core.host import Host
from events.address import partition_of
from events.envelope import Answer, Message
from events.errors import OutcomeUnknown, StoreUnavailable, ThespisError
from events.ids import random_id
from events.store import MailKey
from infra.memory.store import MemoryStore
from tests.kernel.counter import plugin

FULL = StoreUnavailable("the disk is full")
HOME = partition_of("default", "counter/a")


def message() -> Message:
    return Message(random_id(1), "Add", "counter/a", "default", b'{"n":1}', "user:test", 1, "", "")


class Place:
    """An actor in the memory of a host that does nothing by itself."""

    def __init__(self, *works: Work) -> None:
        self.host = Host(MemoryStore(now=lambda: 1), plugin())
        cell = self.host.cell("default", "counter/a", HOME)
        assert cell is not None
        self.cell: Cell = cell
        for work in works:
            self.host.run_queue.enqueue(cell, work)

    def append(self, count: int, error: ThespisError) -> None:
        """The next messages were decided into an append, and this became of it."""
        draft = Draft(self.cell)
        draft.works += [self.host.run_queue.take(self.cell) for _ in range(count)]
        self.host.verdicts.take(self.cell, draft, error, None)


def tell(position: int) -> Work:
    return Work(message(), mail=MailKey(HOME, position, 0), solo=True)


async def test_who_asks_is_told_although_a_tell_that_is_tried_again_stands_before_them() -> None:
    told: list[Answer | ThespisError] = []
    first, later = tell(7), tell(8)
    place = Place(first, Work(message(), done=told.append), later, Work(message(), done=told.append))
    place.append(1, FULL)
    assert told == [FULL, FULL]
    assert list(place.cell.queue or ()) == [first, later]
    assert place.host.waiting == 2


async def test_who_was_in_the_append_is_told_and_its_tells_come_before_all_others() -> None:
    told: list[Answer | ThespisError] = []
    first, second, later = tell(7), tell(8), tell(9)
    place = Place(first, Work(message(), done=told.append), second, later)
    place.append(3, FULL)
    assert told == [FULL]
    assert list(place.cell.queue or ()) == [first, second, later]
    assert place.host.waiting == 3


async def test_of_what_was_in_an_append_whose_answer_was_lost_nobody_says_that_it_was_not_written() -> None:
    told: list[Answer | ThespisError] = []
    place = Place(Work(message(), done=told.append))
    place.append(1, OutcomeUnknown("the answer was lost"))
    assert told == []
    place.host.run_queue.enqueue(place.cell, Work(message(), done=told.append))
    place.append(1, FULL)
    assert [type(each) for each in told] == [OutcomeUnknown, StoreUnavailable]
    assert place.host.waiting == 0
