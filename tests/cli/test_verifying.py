"""Today's code is held against yesterday's states: every stream, every remembered hash, every link of the chain."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import Kind
from actors.feed import feed
from events.errors import NotFound
from events.store import EventStore, StateHash
from gateway.cli.verifying import Verified, verify
from gateway.examples.ledger.account import Account, Credited, account, decide, evolve
from gateway.examples.ledger.workspace import plugin
from infra.memory.store import MemoryStore
from tests.cli.history import with_history

KINDS = {feed.name: feed, **{kind.name: kind for kind in plugin.kinds}}


def with_evolve(changed: Any) -> dict[str, Kind]:
    other = Kind(
        "account", state=Account, decide=decide, evolve=changed, messages=[*account.messages], events=[*account.events]
    )
    return {**KINDS, "account": other}


def test_the_code_that_made_history_verifies_all_of_it() -> None:
    async def script(store: MemoryStore) -> tuple[Verified, list[int]]:
        seen: list[int] = []
        return await verify(store, KINDS, advance=seen.append), seen

    result, seen = with_history(script)
    assert result.well
    assert (result.streams, result.divergences, result.unserved) == (13, [], {})
    assert result.hashes >= 13
    assert sum(seen) == result.events > 300


def test_an_edited_evolve_is_found_at_the_first_state_that_differs() -> None:
    def edited(state: Account, event: Any) -> Account:
        if isinstance(event, Credited):
            state.balance += event.amount + 1
            return state
        return evolve(state, event)

    result = with_history(lambda store: verify(store, with_evolve(edited)))
    assert not result.well
    (divergence,) = result.divergences
    assert (divergence.stream, divergence.what, divergence.fold) == ("account/2", "state", account.fold_id)
    assert divergence.expected != divergence.found

    everywhere = with_history(lambda store: verify(store, with_evolve(edited), all=True))
    assert [d.stream for d in everywhere.divergences] == ["account/2", "account/3", "account/4", "account/5"]


def test_code_that_raises_is_found_with_the_version_it_raised_at() -> None:
    def fragile(state: Account, event: Any) -> Account:
        if state.balance > 120:
            raise ZeroDivisionError("too rich")
        return evolve(state, event)

    result = with_history(lambda store: verify(store, with_evolve(fragile)))
    (divergence,) = result.divergences
    assert (divergence.stream, divergence.what) == ("account/1", "fold")
    assert divergence.found == "ZeroDivisionError: too rich"
    assert divergence.version > 50


def test_a_type_that_the_code_does_not_know_any_more_is_found() -> None:
    forgetful = Kind("account", state=Account, decide=decide, evolve=evolve, events=[])
    result = with_history(lambda store: verify(store, {**KINDS, "account": forgetful}))
    (divergence,) = result.divergences
    assert (divergence.stream, divergence.version, divergence.what) == ("account/1", 1, "fold")
    assert "AccountOpened" in divergence.found


def test_streams_of_unknown_kinds_are_said_to_be_unverified() -> None:
    result = with_history(lambda store: verify(store, {feed.name: feed}))
    assert not result.well
    assert result.unserved == {"account": 8, "transfer": 4}
    assert result.divergences == []


def test_an_event_that_was_tampered_with_breaks_the_chain() -> None:
    async def script(store: MemoryStore) -> Verified:
        log = store._tables.streams[("default", "account/3")]
        log[1] = msgspec.structs.replace(log[1], data=b'{"amount":1000000}')
        return await verify(store, KINDS)

    (divergence,) = with_history(script).divergences
    assert (divergence.stream, divergence.version, divergence.what) == ("account/3", 2, "chain")


def test_a_history_shorter_than_its_remembered_states_is_found() -> None:
    async def script(store: MemoryStore) -> Verified:
        await store.save_state_hashes([StateHash("default", "account/3", 999, bytes(32), account.fold_id)])
        return await verify(store, KINDS)

    (divergence,) = with_history(script).divergences
    assert (divergence.stream, divergence.version, divergence.what) == ("account/3", 999, "gap")


def test_one_stream_alone_can_be_verified_and_must_exist() -> None:
    result = with_history(lambda store: verify(store, KINDS, stream="account/1c"))
    assert (result.streams, result.well) == (1, True)
    with pytest.raises(NotFound, match="account/99 has no history"):
        with_history(lambda store: verify(store, KINDS, stream="account/99"))


def test_it_only_reads() -> None:
    class ReadOnly:
        def __init__(self, store: EventStore) -> None:
            for name in ("read_stream", "streams", "state_hashes"):
                setattr(self, name, getattr(store, name))

    result = with_history(lambda store: verify(ReadOnly(store), KINDS))
    assert result.well
