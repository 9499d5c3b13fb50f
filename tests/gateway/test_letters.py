"""Dead letters over HTTP: sent again, mended, dismissed; recorded, and closed in the inbox."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import msgspec

from actors import Kind, Message, Plugin
from events import cloudevents as ce
from events.cloudevents import CloudEvent
from events.envelope import Event
from gateway.tokens import now
from tests.gateway.site import COUNTER, Added, Site, Total, serving

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/till", "ce-type": "Noticed"}


class Heard(msgspec.Struct, frozen=True):
    amount: int


async def bury(site: Site, headers: dict[str, str], data: bytes, *, size: int | None = None) -> int:
    """As the spool does with what it cannot deliver; returns the letter's position."""
    letter = {
        "message": "/till 1",
        "message_type": "Noticed",
        "to": "spool.default.Noticed",
        "reason": "invalid-data: for a test",
        "headers": headers,
        "body_base64": b64encode(data).decode(),
        "size": len(data) if size is None else size,
    }
    event = CloudEvent(id="SPOOL-7-1", source="dead-letters", type="DeadLettered", data=msgspec.json.encode(letter))
    return (await site.host.ask(ce.to_message(event, "default", "system/spool", now()))).position


async def resolve(site: Site, position: int, action: str, **more: Any) -> tuple[int, Any]:
    body = {"action": action, "reason": "seen", **more}
    status, _, answer = await site.call("POST", f"/v1/dead-letters/{position}/resolve", json=body)
    return status, answer


async def item(site: Site, position: int) -> dict[str, Any]:
    rows = (await site.get("/v1/projections/inbox", params={"wait": await site.store.head()}))["rows"]
    return next(row for row in rows if row["opened_position"] == position)


async def test_a_dead_letter_is_sent_again_and_closed(site: Site) -> None:
    position = await bury(site, HEADERS, b'{"n":1}')
    assert (await item(site, position))["open"]
    status, body = await resolve(site, position, "retry")
    assert status == 200, body
    assert body["status"] == "retried"
    assert [sent["to"] for sent in body["sent"]] == ["feed/till"]
    noticed = (await site.get("/v1/events", params={"stream": "feed/till"}))["events"]
    assert [(event["id"], event["data"], event["position"]) for event in noticed] == [
        ("1", {"n": 1}, body["sent"][0]["position"])
    ]
    closed = await item(site, position)
    assert (closed["open"], closed["closed_by"], closed["resolution"]) == (False, "user:local", "retried: seen")


async def test_a_repetition_gets_the_first_answer_and_another_word_is_a_conflict(site: Site) -> None:
    position = await bury(site, HEADERS, b'{"n":1}')
    _, first = await resolve(site, position, "retry")
    status, again = await resolve(site, position, "retry")
    assert (status, again["position"], again["sent"][0]["duplicate"]) == (200, first["position"], True)
    status, problem = await resolve(site, position, "dismiss")
    assert (status, problem["code"]) == (409, "conflict")
    assert "resolved already" in problem["detail"]


async def test_a_mended_event_is_sent_instead(site: Site) -> None:
    position = await bury(site, {}, b"no CloudEvent at all")
    status, problem = await resolve(site, position, "retry")
    assert (status, problem["code"]) == (400, "invalid-data")
    assert (await item(site, position))["open"]
    mended = {"specversion": "1.0", "id": "1", "source": "/till", "type": "Noticed", "subject": "nobody/1", "data": 2}
    status, body = await resolve(site, position, "retry", event=mended)
    assert (status, body["sent"][0]["to"]) == (200, "feed/till")


async def test_an_event_may_be_addressed_to_an_actor_as_on_the_spool(site: Site) -> None:
    position = await bury(site, HEADERS | {"ce-type": "Add", "ce-subject": "counter/one"}, b'{"amount":3}')
    status, body = await resolve(site, position, "retry")
    assert (status, body["sent"][0]["to"]) == (200, "counter/one")
    assert (await site.get("/v1/actors/counter/one"))["state"] == {"total": 3}


async def test_what_is_refused_again_stays_open(site: Site) -> None:
    position = await bury(site, HEADERS | {"ce-type": "Add", "ce-subject": "counter/one"}, b'{"amount":-3}')
    status, problem = await resolve(site, position, "retry")
    assert (status, problem["reason_code"]) == (422, "insufficient")
    assert (await item(site, position))["open"]
    assert (await resolve(site, position, "dismiss"))[0] == 200
    assert not (await item(site, position))["open"]


async def test_a_message_that_was_too_large_to_keep_is_not_sent_in_part(site: Site) -> None:
    position = await bury(site, HEADERS, b'{"n":1}', size=70_000)
    status, problem = await resolve(site, position, "retry")
    assert (status, problem["code"]) == (400, "invalid")
    assert "7 of its message's 70000 bytes" in problem["detail"]


async def test_only_dead_letters_can_be_resolved(site: Site) -> None:
    await site.ask("counter/one", {"amount": 1})
    for position in (1, 2, 10**30):
        status, problem = await resolve(site, position, "dismiss")
        assert (status, problem["code"]) == (404, "not-found")


async def test_a_fact_that_could_not_be_routed_is_routed_once_its_function_is_mended() -> None:
    broken = True

    def route(added: Added, _event: Event) -> str:
        if broken:
            raise KeyError("nobody")
        return "listener/all"

    def listen(_state: Total, message: Message) -> list[Any]:
        return [Heard(message.data.amount)]

    listener = Kind(
        "listener",
        state=Total,
        decide=listen,
        evolve=lambda state, event: Total(state.total + event.amount),
        events=[Heard],
        messages=[Added],
        subscribes={Added: route},
    )
    async with serving(plugin=Plugin(kinds=[COUNTER, listener])) as site:
        await site.ask("counter/one", {"amount": 4})
        async with asyncio.timeout(20):
            while not (dead := (await site.get("/v1/events", params={"type": "DeadLettered"}))["events"]):
                await asyncio.sleep(0.02)
        position = dead[0]["position"]
        status, problem = await resolve(site, position, "retry")
        assert (status, problem["code"]) == (409, "conflict")
        assert "still fails: KeyError" in problem["detail"]
        broken = False
        status, body = await resolve(site, position, "retry")
        assert status == 200, body
        assert [sent["to"] for sent in body["sent"]] == ["listener/all"]
        assert (await site.get("/v1/actors/listener/all"))["state"] == {"total": 4}
        assert not (await item(site, position))["open"]
