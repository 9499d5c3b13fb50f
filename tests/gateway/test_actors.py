"""Actors over HTTP: asked, told, queried, looked at, parked, resumed and forked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.site import Site, serving

EXPLODE = {"message": "Explode", "data": {}}


async def test_an_ask_is_answered_after_its_commit(site: Site) -> None:
    status, body = await site.ask("counter/one", {"amount": 5}, key="k")
    assert status == 200
    assert body.pop("id")
    assert body == {"outcome": "handled", "position": 1, "version": 1, "duplicate": False, "reply": {"total": 5}}
    assert await site.store.head() == 1


async def test_a_tell_is_answered_without_the_reply(site: Site) -> None:
    status, body = await site.ask("counter/one", {"amount": 5}, verb="tell")
    assert (status, "reply" in body, body["position"]) == (200, False, 1)


async def test_the_same_key_gets_the_first_answer_marked(site: Site) -> None:
    _, first = await site.ask("counter/one", {"amount": 5}, key="k")
    await site.ask("counter/one", {"amount": 1})
    body = {"data": {"amount": 5}, "message": "Add"}
    status, headers, again = await site.call(
        "POST", "/v1/actors/counter/one/ask", json=body, headers={"Idempotency-Key": '"k"'}
    )
    assert status == 200
    assert again == first | {"duplicate": True}
    assert headers["Idempotency-Replayed"] == "true"
    assert await site.store.head() == 2


async def test_the_same_key_with_another_body_is_a_conflict(site: Site) -> None:
    await site.ask("counter/one", {"amount": 5}, key="k")
    status, body = await site.ask("counter/one", {"amount": 6}, key="k")
    assert (status, body["code"]) == (409, "key-reused")
    status, body = await site.ask("counter/two", {"amount": 6}, key="k")
    assert status == 200, "a key belongs to its actor"


async def test_a_refusal_is_a_problem_with_the_actors_code_and_the_same_when_repeated(site: Site) -> None:
    await site.ask("counter/one", {"amount": 5})
    for duplicate in (False, True):
        status, body = await site.ask("counter/one", {"amount": -6}, key="k")
        assert status == 422
        assert body["code"] == "refused"
        assert body["reason_code"] == "insufficient"
        assert body["detail"] == "only 5 there"
        assert body["duplicate"] is duplicate


@pytest.mark.parametrize(
    ("message", "data", "code", "says"),
    [
        ("Nothing", {}, "unknown-type", "Nothing"),
        ("no type", {}, "invalid-name", "no type"),
        ("Add", {"amount": "many"}, "invalid-data", "amount"),
        ("Add", {}, "invalid-data", "amount"),
        ("Add", [], "invalid-data", "Add"),
    ],
)
async def test_a_bad_message_is_refused_and_nothing_is_recorded(
    site: Site, message: str, data: Any, code: str, says: str
) -> None:
    for verb in ("ask", "tell"):
        status, body = await site.ask("counter/one", data, message=message, verb=verb)
        assert (status, body["code"]) == (400, code), body
        assert says in body["detail"]
    assert await site.store.head() == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"data": {}}, "message"),
        ({"message": 5}, "message"),
        ({"message": "Add", "dta": {}}, "dta"),
        ([], "no JSON object"),
    ],
)
async def test_a_bad_body_is_named(site: Site, body: Any, says: str) -> None:
    status, _, answer = await site.call("POST", "/v1/actors/counter/one/ask", json=body)
    assert (status, answer["code"]) == (400, "invalid-data")
    assert says in answer["detail"]


async def test_a_kind_nobody_serves_is_not_available(site: Site) -> None:
    status, body = await site.ask("nobody/one", {})
    assert (status, body["code"]) == (503, "unserved")


async def test_feeds_take_no_messages_but_their_events(site: Site) -> None:
    status, body = await site.ask("feed/test", {})
    assert (status, body["code"]) == (403, "forbidden")


async def test_no_answer_in_time_says_so(site: Site) -> None:
    class Silent:
        async def ask(self, message: Any) -> Any:
            assert message.deadline - message.time <= 300_000
            await asyncio.get_running_loop().create_future()

    site.door.client = Silent()  # pyright: ignore[reportAttributeAccessIssue]
    async with serving(max_wait=0.2) as other:
        other.door.client = Silent()  # pyright: ignore[reportAttributeAccessIssue]
        body = {"message": "Add", "data": {"amount": 1}}
        headers = {"Prefer": "respond-async, wait=30"}
        status, _, answer = await other.call("POST", "/v1/actors/counter/one/ask", json=body, headers=headers)
        assert (status, answer["code"]) == (504, "deadline-exceeded")
    headers = {"Prefer": "wait=soon"}
    status, _, answer = await site.call("POST", "/v1/actors/counter/one/ask", json=body, headers=headers)
    assert (status, answer["code"]) == (400, "invalid-data")


@pytest.mark.parametrize("id", ["one", "a/b/ask", "x%20%25:y".replace("%20", "%25"), "a.b~c@d"])
async def test_ids_may_hold_slashes_and_whatever_is_escaped(site: Site, id: str) -> None:
    status, body = await site.ask(f"counter/{id}", {"amount": 5})
    assert status == 200, body
    shown = await site.get(f"/v1/actors/counter/{id}")
    assert shown["state"] == {"total": 5}
    (stored,) = await site.store.read(0, 10)
    assert shown["address"] == stored.stream


async def test_a_slash_may_be_escaped_too(site: Site) -> None:
    from yarl import URL

    await site.ask("counter/a/b", {"amount": 5})
    url = URL(site.url + "/v1/actors/counter/a%2Fb", encoded=True)
    async with site.session.get(url) as response:
        assert response.status == 200
        assert (await response.json())["address"] == "counter/a/b"


async def test_the_state_is_shown_now_and_at_a_version(site: Site) -> None:
    for amount in (1, 2, 3):
        await site.ask("counter/one", {"amount": amount})
    now = await site.get("/v1/actors/counter/one")
    assert now == {"address": "counter/one", "kind": "counter", "version": 3, "state": {"total": 6}, "parked": None}
    then = await site.get("/v1/actors/counter/one?at=2")
    assert (then["version"], then["state"], then["at"]) == (2, {"total": 3}, 2)


async def test_an_actor_without_history_does_not_exist(site: Site) -> None:
    status, _, body = await site.call("GET", "/v1/actors/counter/none")
    assert (status, body["code"]) == (404, "not-found")
    assert "GET /v1/actors" in body["hint"]
    await site.ask("counter/one", {"amount": 1})
    status, _, body = await site.call("GET", "/v1/actors/counter/one?at=9")
    assert status in (400, 404)
    status, _, body = await site.call("GET", "/v1/actors/nobody/one")
    assert (status, body["code"]) == (404, "not-found")
    status, _, body = await site.call("GET", "/v1/actors/counter/two%20words")
    assert (status, body["code"]) == (400, "invalid-name")


async def test_a_query_reads_and_records_nothing(site: Site) -> None:
    await site.ask("counter/one", {"amount": 5})
    body = {"question": "Above", "data": {"limit": 4}}
    status, _, answer = await site.call("POST", "/v1/actors/counter/one/query", json=body)
    assert (status, answer) == (200, {"address": "counter/one", "answer": {"above": True}})
    assert await site.store.head() == 1
    for bad, code in (({"question": "What"}, "unknown-type"), ({"question": "Above"}, "invalid-data")):
        status, _, answer = await site.call("POST", "/v1/actors/counter/one/query", json=bad)
        assert (status, answer["code"]) == (400, code)


async def test_an_actor_is_parked_resumed_and_listed(site: Site) -> None:
    await site.ask("counter/one", {"amount": 5})
    await site.ask("counter/two", {"amount": 5})
    status, _, body = await site.call("POST", "/v1/actors/counter/one/park", json={"reason": "to look at it"})
    assert status == 200, body
    assert (await site.get("/v1/actors/counter/one"))["parked"]
    status, body = await site.ask("counter/one", {"amount": 5})
    assert (status, body["code"]) == (409, "parked")
    listed = await site.get("/v1/actors", params={"parked": "true", "wait": await site.store.head()})
    assert [row["address"] for row in listed["actors"]] == ["counter/one"]
    listed = await site.get("/v1/actors", params={"parked": "false", "kind": "counter"})
    assert [row["address"] for row in listed["actors"]] == ["counter/two"]
    status, _, body = await site.call("POST", "/v1/actors/counter/one/resume", json={"reason": "seen"})
    assert status == 200, body
    status, _ = await site.ask("counter/one", {"amount": 5})
    assert status == 200
    status, _, body = await site.call("POST", "/v1/actors/counter/one/park", json={})
    assert (status, body["code"]) == (400, "invalid-data")


async def test_a_fork_goes_on_from_a_version(site: Site) -> None:
    for amount in (1, 2, 3):
        await site.ask("counter/one", {"amount": amount})
    body = {"version": 2, "to": "counter/other"}
    status, _, answer = await site.call("POST", "/v1/actors/counter/one/fork", json=body)
    assert status == 200, answer
    assert (await site.get("/v1/actors/counter/other"))["state"] == {"total": 3}
    for bad in (
        {"version": 0, "to": "counter/x"},
        {"version": 1, "to": "nowhere"},
        {"version": "1", "to": "counter/x"},
    ):
        status, _, answer = await site.call("POST", "/v1/actors/counter/one/fork", json=bad)
        assert (status, answer["code"]) == (400, "invalid-data")


async def test_an_effect_that_does_not_exist_cannot_be_settled(site: Site) -> None:
    body = {"status": "succeeded", "reason": "I saw it"}
    status, _, answer = await site.call("POST", "/v1/effects/none/resolve", json=body)
    assert (status, answer["code"]) == (404, "not-found")


async def test_the_sender_and_correlation_of_a_message_are_recorded(site: Site) -> None:
    headers = {"X-Correlation-ID": "order-7", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    body = {"message": "Add", "data": {"amount": 1}}
    await site.call("POST", "/v1/actors/counter/one/ask", json=body, headers=headers)
    (stored,) = await site.store.read(0, 10)
    assert (stored.correlation, stored.trace) == ("order-7", headers["traceparent"])
    (message,) = await site.store.messages("default", "counter/one")
    assert message.sender == "user:local"
    for name, value in (("X-Correlation-ID", "two words"), ("Idempotency-Key", "two words"), ("Idempotency-Key", "")):
        status, _, answer = await site.call("POST", "/v1/actors/counter/one/ask", json=body, headers={name: value})
        assert (status, answer["code"]) == (400, "invalid-data"), name


async def test_a_bug_in_an_actor_does_not_show_its_insides(site: Site) -> None:
    status, _, body = await site.call("POST", "/v1/actors/counter/one/ask", json=EXPLODE)
    assert status in (409, 503), body
    assert "Traceback" not in str(body)
