"""The checkers find what they are there to find: a sound log passes, and each kind of damage is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from events import chain
from events.envelope import Event
from gateway.demo.proof import Acknowledged, LedgerProof
from gateway.proof import Check, LogProof, verdict

A, B, T = "account/a", "account/b", "transfer/1"
STORY: list[tuple[str, str, dict[str, Any], int]] = [
    (A, "AccountOpened", {"limit": None}, 0),
    (A, "Deposited", {"amount": 10}, 0),
    (B, "AccountOpened", {"limit": 20}, 0),
    (T, "TransferStarted", {"source": A, "target": B, "amount": 4}, 0),
    (A, "Debited", {"transfer": T, "amount": 4}, 4),
    (T, "SourceDebited", {}, 5),
    (B, "Credited", {"transfer": T, "amount": 4}, 6),
    (T, "TransferCompleted", {}, 7),
]
ASKED = {T: Acknowledged(A, B, 4, [4, 4])}


def log(story: list[tuple[str, str, dict[str, Any], int]] = STORY) -> list[Event]:
    """Events as the log would hold them; the last part of each line is the position of the cause, 0: from outside."""
    events: list[Event] = []
    heads: dict[str, tuple[int, bytes]] = {}
    for position, (stream, type_, values, cause) in enumerate(story, 1):
        version, hash = heads.get(stream, (0, chain.GENESIS))
        data = msgspec.json.encode(values)
        caused = f"event-{cause}" if cause else f"message-{position}"
        hash = chain.link(hash, "default", stream, version + 1, f"event-{position}", type_, 1, caused, data)
        heads[stream] = (version + 1, hash)
        events.append(
            Event(position, "default", stream, version + 1, f"event-{position}", type_, 1, data, caused, "c", 1, 0,
                  None, None, hash)
        )  # fmt: skip
    return events


def look(
    events: list[Event], balances: dict[str, int] | None = None, asked: dict[str, Acknowledged] = ASKED
) -> dict[str, Check]:
    witnesses = LogProof(), LedgerProof(asked, balances)
    for event in events:
        for one in witnesses:
            one.see(event)
    return {check.statement: check for one in witnesses for check in one.checks()}


def failed(checks: dict[str, Check]) -> set[str]:
    return {statement for statement, check in checks.items() if not check.passed}


def test_a_sound_log_passes_every_check():
    checks = look(log(), {A: 6, B: 4})
    assert failed(checks) == set()
    assert all(line.startswith("proved") for line in verdict(checks.values()))
    assert len(checks) == 11


def without(position: int) -> list[Event]:
    return [event for event in log() if event.position != position]


def changed(position: int, **fields: Any) -> list[Event]:
    return [msgspec.structs.replace(e, **fields) if e.position == position else e for e in log()]


def swapped() -> list[Event]:
    events = log()
    events[6], events[7] = events[7], events[6]
    return events


POSITIONS, VERSIONS, CHAINS = (
    "positions are gapless and in order",
    "versions of every stream are gapless",
    "the hash chain of every stream is intact",
)
TWICE, CAUSES = "no event is recorded twice", "every cause comes before what it caused"
ORDER = "tells of one sender to one receiver were handled in the order decided"


@pytest.mark.parametrize(
    ("damage", "statement"),
    [
        (lambda: without(5), POSITIONS),
        (swapped, POSITIONS),
        (lambda: without(2), VERSIONS),
        (lambda: changed(2, version=7), VERSIONS),
        (lambda: changed(2, data=b'{"amount":11}'), CHAINS),
        (lambda: changed(4, causation="another"), CHAINS),
        (lambda: changed(3, id="event-1"), TWICE),
        (lambda: changed(4, causation="event-8"), CAUSES),
    ],
)
def test_damage_to_the_log_is_found(damage: Callable[[], list[Event]], statement: str):
    assert statement in failed(look(damage()))


def test_an_event_that_nothing_caused_may_name_itself():
    story = [*STORY, ("system/projection-balances", "ProjectionSwitched", {}, len(STORY) + 1)]
    assert failed(look(log(story))) == set()


def test_tells_out_of_order_are_found():
    story = [(T, "One", {}, 0), (T, "Two", {}, 0), (A, "HeardTwo", {}, 2), (A, "HeardOne", {}, 1)]
    assert failed(look(log(story), asked={T: ASKED[T]})) >= {ORDER}


MONEY, BOUNDS = "no money was made or lost", "no account was ever overdrawn, or paid beyond its limit"
WHOLE = "every transfer moved its money once, or gave it back, or not at all"
ONCE = "every acknowledged transfer happened exactly once, as asked, and nothing that nobody asked for"
EQUAL = "the projection equals a fold of the log"


def credited_twice() -> list[Event]:
    return log([*STORY, (B, "Credited", {"transfer": T, "amount": 4}, 6)])


def credited_more() -> list[Event]:
    return log([*STORY[:6], (B, "Credited", {"transfer": T, "amount": 5}, 6), STORY[7]])


@pytest.mark.parametrize(
    ("damaged", "statements"),
    [
        (credited_twice, {MONEY, WHOLE}),
        (credited_more, {MONEY, WHOLE}),
        (lambda: log(STORY[:6]), {MONEY, WHOLE}),
        (lambda: log([*STORY, (T, "TransferCompleted", {}, 7)]), {WHOLE}),
        (lambda: log([*STORY, (T, "TransferStarted", {"source": A, "target": B, "amount": 4}, 0)]), {WHOLE}),
        (lambda: log([*STORY, (A, "Withdrawn", {"amount": 7}, 0)]), {BOUNDS}),
        (lambda: log([*STORY, (B, "Deposited", {"amount": 17}, 0)]), {BOUNDS}),
    ],
)
def test_money_that_went_astray_is_found(damaged: Callable[[], list[Event]], statements: set[str]):
    assert failed(look(damaged())) >= statements


@pytest.mark.parametrize(
    "asked",
    [
        {T: Acknowledged(A, B, 4, [5])},
        {T: Acknowledged(A, B, 5, [4])},
        {},
        ASKED | {"transfer/2": Acknowledged(A, B, 4, [9])},
    ],
    ids=["at another position", "on other terms", "by nobody", "and lost"],
)
def test_a_broken_promise_to_a_client_is_found(asked: dict[str, Acknowledged]):
    assert failed(look(log(), asked=asked)) == {ONCE}


def test_a_request_without_an_acknowledgement_may_be_lost_or_happen():
    assert failed(look(log(), asked={T: Acknowledged(A, B, 4), "transfer/2": Acknowledged(A, B, 4)})) == set()


@pytest.mark.parametrize("shown", [{A: 6}, {A: 6, B: 5}, {A: 6, B: 4, "account/c": 0}])
def test_a_projection_that_differs_is_found(shown: dict[str, int]):
    assert failed(look(log(), shown)) == {EQUAL}
