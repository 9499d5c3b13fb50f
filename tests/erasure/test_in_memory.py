"""Personal fields, in memory: sealed wherever anything is kept, readable wherever anything is decided."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from actors import EffectKind, Plugin, Reply, testing
from events import Erased
from events.errors import InvalidData, KeyReused, NotFound
from gateway.cli.verifying import verify
from infra.memory.system import System, run_system
from tests.erasure.workspace import people
from tests.erasure.workspace.people import Greet, Line, Look, Register, Registered, Seen, book, plugin

PLANTED = "ada@example.org"
NOTE = "likes tea"


def kept(system: System) -> bytes:
    """Everything the store holds, as bytes."""
    tables = system.store._tables
    rows: list[Any] = [
        *tables.log,
        *(row.handled for row in tables.messages.values()),
        *tables.mailbox.values(),
        *tables.effects.values(),
        *(timer for timers in tables.timers.values() for timer in timers.values()),
        *tables.snapshots.values(),
    ]
    return b"\n".join(repr(row).encode() for row in rows)


async def planted(system: System) -> None:
    await system.ask("book/b", Register("p1", PLANTED, [Line("p2", NOTE)]), key="k")
    await system.publish("/forms/1", "1", "Registered", Registered("p1", PLANTED))
    await system.settle()


def test_nothing_that_is_kept_holds_what_is_personal() -> None:
    async def script(system: System) -> None:
        await planted(system)
        assert PLANTED.encode() not in kept(system)
        assert NOTE.encode() not in kept(system)
        assert kept(system).count(b"$sealed") >= 8

    run_system(plugin, script)


def test_who_decides_reads_everything() -> None:
    async def script(system: System) -> None:
        people.performed.clear()
        await planted(system)
        assert (await system.state("book/b"))["people"] == {"p1": PLANTED}
        assert (await system.state("diary/d"))["count"] == 2  # the tell, and the answer to its own question
        assert (await system.state("diary/d"))["people"] == {"p1": PLANTED}
        assert (await system.state("diary/s"))["people"] == {"p1": PLANTED}  # by subscription, sealed anew
        assert people.performed == [PLANTED]
        assert await system.ask("book/b", Look("p1")) == {"who": "p1", "email": PLANTED}
        assert {row["email"] for row in await system.rows("people")} == {PLANTED}
        await system.advance(3600)  # the timer
        assert (await system.state("book/b"))["count"] == 2

    run_system(plugin, script)


def test_the_same_key_again_gets_the_first_answer_readable() -> None:
    async def script(system: System) -> None:
        first = await system.ask("book/b", Register("p1", PLANTED), key="k")
        again = await system.ask("book/b", Register("p1", PLANTED), key="k")
        assert first == again == {"who": "p1", "email": PLANTED}

    run_system(plugin, script)


def test_after_an_erasure_the_fields_are_erased_everywhere() -> None:
    async def script(system: System) -> None:
        await planted(system)
        before = [event.hash for event in await system.events()]
        receipt = await system.erase("p1")
        assert (await system.state("book/b"))["people"] == {"p1": {"$erased": True}}
        assert await system.ask("book/b", Look("p1")) == {"who": "p1", "email": {"$erased": True}}
        assert {row["email"] for row in await system.rows("people")} == {"(erased)"}
        assert [event.hash for event in await system.events()][: len(before)] == before
        assert receipt.streams == ["book/b", "diary/d", "diary/s", "feed/%2Fforms%2F1"] or "book/b" in receipt.streams
        assert receipt.events >= 4
        assert receipt.projections == ["people"]
        assert "p1" not in str([event for event in await system.events() if event.type == "SubjectErased"])
        with pytest.raises(NotFound):
            await system.erase("p1")

    run_system(plugin, script)


def test_others_stay_readable_and_a_new_message_begins_anew() -> None:
    async def script(system: System) -> None:
        await planted(system)
        await system.ask("book/b", Register("p3", "eve@example.org"))
        await system.erase("p1")
        assert (await system.state("book/b"))["people"] == {"p1": {"$erased": True}, "p3": "eve@example.org"}
        await system.ask("book/b", Register("p1", "new@example.org"))
        assert (await system.state("book/b"))["people"]["p1"] == "new@example.org"
        assert (await system.state("book/b", at=1))["people"]["p1"] == {"$erased": True}

    run_system(plugin, script)


def test_a_first_answer_that_was_erased_is_repeated_as_erased() -> None:
    async def script(system: System) -> None:
        message = system.message("book/b", Look("p1"), key="look")
        await system.ask("book/b", Register("p1", PLANTED))
        answer = await system.deliver(message)
        assert PLANTED.encode() in (answer.data or b"")
        await system.erase("p1")
        again = await system.deliver(system.message("book/b", Look("p1"), key="look"))
        assert again.duplicate
        assert msgspec.json.decode(again.data or b"") == {"who": "p1", "email": {"$erased": True}}

    run_system(plugin, script)


def test_what_waits_in_a_mailbox_arrives_erased() -> None:
    async def script(system: System) -> None:
        await planted(system)
        await system.erase("p1")
        await system.advance(3600)  # the timer was sealed too
        assert (await system.state("book/b"))["people"]["p1"] == {"$erased": True}

    run_system(plugin, script)


def test_a_message_that_names_nobody_or_does_not_fit_is_not_kept() -> None:
    async def script(system: System) -> None:
        message = system.message("book/b", Register("p1", PLANTED))
        bad = msgspec.structs.replace(message, body=b'{"who":7,"email":"ada@example.org"}')
        answer = await system.deliver(bad)
        assert answer.outcome == "refused"
        assert PLANTED.encode() not in kept(system)

    run_system(plugin, script)


def test_several_hosts_read_what_one_sealed() -> None:
    async def script(system: System) -> None:
        for n in range(20):
            await system.ask(f"book/{n}", Register(f"p{n}", PLANTED))
        await system.settle()
        await system.erase("p7")
        for n in range(20):
            expected = {"$erased": True} if n == 7 else PLANTED
            assert (await system.ask(f"book/{n}", Look(f"p{n}")))["email"] == expected

    run_system(plugin, script, hosts=3)


def test_a_fork_reads_the_history_of_its_source() -> None:
    async def script(system: System) -> None:
        await planted(system)
        host = next(h for h in system.hosts)
        await host.fork("default", "book/b", 1, "book/fork", "user:test")
        assert await system.ask("book/fork", Look("p1")) == {"who": "p1", "email": PLANTED}
        receipt = await system.erase("p1")
        assert "book/fork" in receipt.streams
        assert await system.ask("book/fork", Look("p1")) == {"who": "p1", "email": {"$erased": True}}

    run_system(plugin, script)


def test_the_testing_kit_needs_no_keys() -> None:
    testing.given(book, Registered("p1", "a@b")).when(Look("p1")).then(Reply(Seen("p1", "a@b")))
    testing.given(book, Registered("p1", Erased())).when(Look("p1")).then(Reply(Seen("p1", Erased())))
    testing.given(book).when(Greet("p1", Erased())).then(people.Greeted("p1", Erased()))


def test_a_repetition_after_an_erasure_is_told_what_may_be_the_matter() -> None:
    async def script(system: System) -> None:
        await system.ask("book/b", Register("p1", PLANTED), key="k")
        await system.erase("p1")
        head = await system.store.head()
        with pytest.raises(KeyReused, match="or its subject was erased since") as caught:
            await system.ask("book/b", Register("p1", PLANTED), key="k")
        assert "under another key" in (caught.value.hint or "")
        assert await system.store.head() == head
        assert (await system.state("book/b"))["people"] == {"p1": {"$erased": True}}

    run_system(plugin, script)


def test_a_remembered_hash_confirms_no_guess() -> None:
    async def script(system: System) -> None:
        await planted(system)
        await system.ask("book/b", Register("p2", "eve@example.org"))
        await system.advance(10)
        before = await system.store.state_hashes("default", "book/b")
        state = (await system.hosts[0].view("default", "book/b", before[-1].version)).state
        assert sha256(msgspec.json.encode(state, order="sorted")).digest() != before[-1].hash
        await system.erase("p1")
        after = await system.store.state_hashes("default", "book/b")
        assert [one.version for one in after] == [one.version for one in before]
        assert {one.hash for one in after}.isdisjoint(one.hash for one in before)
        sealing = system.hosts[0].words.sealing
        verified = await verify(system.store, system.hosts[0].kinds, stream="book/b", sealing=sealing)
        assert verified.well
        assert verified.hashes == len(after) > 0

    run_system(plugin, script)


@pytest.mark.parametrize("plain", [{"result": {"who": "p1", "address": PLANTED}}, {"who": "p1", "address": PLANTED}])
def test_what_a_person_says_became_of_an_effect_is_sealed(plain: dict[str, Any]) -> None:
    async def lost(_letter: people.Letter, _attempt: Any) -> people.Sent:
        raise ConnectionError

    letter = EffectKind("letter", request=people.Letter, result=people.Sent, perform=lost, effect_class="irreversible")

    async def script(system: System) -> None:
        await system.ask("book/b", Register("p1", PLANTED))
        await system.settle()
        [effect] = [e for e in system.store._tables.effects.values() if e.status == "unknown"]
        host = system.hosts[0]
        with pytest.raises(InvalidData, match="is no Sent"):
            await host.resolve("default", effect.id, "succeeded", b'{"who":7}', "user:ada", "asked the post")
        said = msgspec.json.encode(plain)
        await host.resolve("default", effect.id, "succeeded", said, "user:ada", "asked the post")
        settled = await system.store.effect(effect.id)
        assert settled is not None
        assert settled.status == "succeeded"
        assert b"$sealed" in (settled.outcome or b"")
        assert PLANTED.encode() not in kept(system)

    run_system(Plugin(kinds=plugin.kinds, effects=[letter], events=plugin.events), script)
