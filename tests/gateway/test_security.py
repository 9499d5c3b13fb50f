"""Who may come in, how often, and how much of this process a stranger gets to see or to hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from events.errors import Busy, StoreUnavailable
from gateway.built_in import built_in
from gateway.http.buckets import Buckets
from gateway.http.commands import SCOPES as SCOPES_OF_KINDS
from gateway.http.routes import ROUTES
from gateway.problems import RateLimited
from gateway.settings import Settings
from gateway.tokens import SCOPES, create_token, revoke_token
from infra.memory.tokens import MemoryTokens
from tests.gateway.site import Site, event, serving

LOCAL = ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"]
STRANGE = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "192.168.0.1", "[::2]"]


@pytest.mark.parametrize("host", LOCAL)
async def test_this_machine_is_served_without_a_token(site: Site, host: str) -> None:
    status, _, _ = await site.call("GET", "/v1/events", headers={"Host": f"{host}:{site.server.port}"})
    assert status == 200


@pytest.mark.parametrize("host", STRANGE)
async def test_a_name_that_was_bent_to_this_machine_is_not(site: Site, host: str) -> None:
    answer = await site.raw(f"GET /v1/events HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b'"forbidden"' in answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_sites_page_cannot_read_or_write_here(site: Site, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        status, answered, body = await site.call(method, "/v1/events", headers=headers)
        assert (status, body["code"]) == (403, "forbidden")
        assert not any(name.lower().startswith("access-control-") for name in answered)
    assert (await site.call("OPTIONS", "/v1/events", headers=headers))[0] == 405


async def test_our_own_page_may(site: Site) -> None:
    headers = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    assert (await site.call("GET", "/v1/events", headers=headers))[0] == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
async def test_what_a_proxy_forwards_needs_a_token(site: Site, name: str) -> None:
    status, _, body = await site.call("GET", "/v1/events", headers={name: "10.0.0.1"})
    assert (status, body["code"]) == (401, "unauthenticated")


def test_only_loopback_may_go_without_tokens() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert Settings(host=host).tokenless
        assert not Settings(host=host, require_token=True).tokenless
    for host in ("0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.evil.example"):
        assert not Settings(host=host).tokenless


async def test_every_wrong_token_gets_the_same_answer() -> None:
    tokens = MemoryTokens()
    good, token = await create_token(tokens, "ada", ["admin"])
    gone, revoked = await create_token(tokens, "ada", ["admin"])
    await revoke_token(tokens, revoked.id)
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    other = good.replace(token.id, "a" * 12)
    async with serving(tokens, require_token=True, denials=0.0) as site:
        details: set[str] = set()
        for text in (wrong, other, gone):
            headers = {"Authorization": f"Bearer {text}"}
            status, answered, body = await site.call("GET", "/v1/events", headers=headers)
            assert (status, body["code"]) == (401, "unauthenticated")
            assert answered["WWW-Authenticate"].startswith("Bearer")
            assert text not in str(body)
            details.add(body["detail"])
        assert len(details) == 1
        for header in ("Bearer", "Bearer x", "Basic YTpi", good, "Bearer " + "x" * 5000):
            status, _, body = await site.call("GET", "/v1/events", headers={"Authorization": header})
            assert (status, body["code"]) == (401, "unauthenticated")
        assert (await site.call("GET", "/v1/events"))[0] == 401
        assert (await site.call("GET", "/v1/events", headers={"Authorization": f"bearer {good}"}))[0] == 200


async def test_a_wrong_token_is_wrong_on_a_tokenless_door_too(site: Site) -> None:
    status, _, body = await site.call("GET", "/v1/events", headers={"Authorization": "Bearer x"})
    assert (status, body["code"]) == (401, "unauthenticated")


async def test_an_expired_token_says_so() -> None:
    tokens = MemoryTokens()
    text, _ = await create_token(tokens, "ada", ["admin"], expires_in=1e-6)
    async with serving(tokens, require_token=True) as site:
        status, _, body = await site.call("GET", "/v1/events", headers={"Authorization": f"Bearer {text}"})
        assert (status, body["code"]) == (401, "unauthenticated")
        assert "expired" in body["detail"]


async def test_a_revoked_token_ends_when_it_is_looked_at_again() -> None:
    tokens = MemoryTokens()
    text, token = await create_token(tokens, "ada", ["admin"])
    async with serving(tokens, require_token=True, token_cache=0.0) as site:
        headers = {"Authorization": f"Bearer {text}"}
        assert (await site.call("GET", "/v1/events", headers=headers))[0] == 200
        await revoke_token(tokens, token.id)
        assert (await site.call("GET", "/v1/events", headers=headers))[0] == 401


async def test_a_checked_token_is_not_looked_up_for_every_request() -> None:
    class Counting(MemoryTokens):
        looks = 0

        async def get(self, id: str) -> Any:
            self.looks += 1
            return await super().get(id)

    tokens = Counting()
    text, _ = await create_token(tokens, "ada", ["admin"])
    async with serving(tokens, require_token=True, token_cache=1000.0) as site:
        for _ in range(3):
            assert (await site.call("GET", "/v1/events", headers={"Authorization": f"Bearer {text}"}))[0] == 200
    assert tokens.looks == 1


async def test_guessing_tokens_is_slowed_down_but_known_ones_go_on() -> None:
    tokens = MemoryTokens()
    good, _ = await create_token(tokens, "ada", ["admin"])
    async with serving(tokens, require_token=True, denials=0.001, token_cache=1000.0) as site:
        assert (await site.call("GET", "/v1/events", headers={"Authorization": f"Bearer {good}"}))[0] == 200
        wrong = {"Authorization": "Bearer ths_aaaaaaaaaaaa_" + "x" * 43}
        assert (await site.call("GET", "/v1/events", headers=wrong))[0] == 401
        status, headers, body = await site.call("GET", "/v1/events", headers=wrong)
        assert (status, body["code"]) == (429, "rate-limited")
        assert int(headers["Retry-After"]) > 1
        assert (await site.call("GET", "/v1/events", headers={"Authorization": f"Bearer {good}"}))[0] == 200


@pytest.mark.parametrize("scope", [*SCOPES, ""])
async def test_a_token_opens_what_its_scope_says_and_nothing_else(scope: str) -> None:
    tokens = MemoryTokens()
    text, _ = await create_token(tokens, "ada", [scope or "metrics:read"])
    headers = {"Authorization": f"Bearer {text}"} if scope else {}
    async with serving(tokens, require_token=True) as site:
        for route in ROUTES:
            path = route.path.split(":")[0].replace("{kind}/{id", "counter/one").replace("{", "").replace("}", "")
            path += {"/v1/actors/counter/one": route.path.partition(".+}")[2]}.get(path, "")
            path = path.replace("/position", "/1")
            if path.startswith(("/v1/runs/", "/v1/assets/", "/v1/approvals/", "/v1/subjects/")):
                path += route.path.partition(".+}")[2]
            path = path.replace("/versions/version", "/versions/1")
            method = "HEAD" if route.live else route.method
            status, _, _ = await site.call(method, path, headers=headers)
            if not route.scope or (scope and scope in (route.scope, "admin")):
                assert status not in (401, 403, 405), (route.method, path)
            else:
                assert status == (403 if scope else 401), (route.method, path)


async def test_messages_to_what_has_routes_of_its_own_need_their_scopes_as_well() -> None:
    tokens = MemoryTokens()
    async with serving(tokens, plugin=built_in()) as site:
        asked = {
            "approval": "Approve", "tool": "ApproveTool", "call": "RequestCall", "policy": "PublishPolicy",
            "budget": "SetBudget", "agent": "PublishAgent", "conversation": "Post", "inquiry": "Inquire",
            "workflow": "PublishWorkflow", "run": "StopRun",
        }  # fmt: skip
        assert asked.keys() == SCOPES_OF_KINDS.keys()
        only, _ = await create_token(tokens, "eve", ["actors:write"])
        for kind, scope in SCOPES_OF_KINDS.items():
            both, _ = await create_token(tokens, "ada", ["actors:write", scope])
            for verb in ("ask", "tell"):
                for text, allowed in ((only, False), (both, True)):
                    body = {"message": asked[kind], "data": {}}
                    headers = {"Authorization": f"Bearer {text}"}
                    path = f"/v1/actors/{kind}/default/{verb}"
                    status, _, said = await site.call("POST", path, json=body, headers=headers)
                    assert (status == 403) is not allowed, (kind, verb, said)
                    assert allowed or scope in said["detail"]


async def test_who_sent_a_message_is_the_token_not_the_caller() -> None:
    tokens = MemoryTokens()
    text, _ = await create_token(tokens, "ada", ["actors:write"], tenant="acme")
    async with serving(tokens) as site:
        body = {"message": "Add", "data": {"amount": 1}}
        headers = {"Authorization": f"Bearer {text}"}
        status, _, _ = await site.call("POST", "/v1/actors/counter/one/ask", json=body, headers=headers)
        assert status == 200
        (message,) = await site.store.messages("acme", "counter/one")
        assert message.sender == "user:ada"


@pytest.mark.parametrize("path", ["/v1/approvals?status=waitng", "/v1/tools?status=aproved", "/v1/tools?risk=low"])
async def test_a_filter_that_is_misspelled_is_not_an_empty_list(site: Site, path: str) -> None:
    status, _, body = await site.call("GET", path)
    assert (status, body["code"]) == (400, "invalid-data")
    assert "waiting" in body["detail"] + body["hint"] or "read-local" in body["detail"] + body["hint"]


async def test_too_many_requests_are_turned_away_with_the_time_to_wait() -> None:
    async with serving(rate=0.5, burst=3) as site:
        for _ in range(3):
            assert (await site.call("GET", "/v1/events"))[0] == 200
        status, headers, body = await site.call("GET", "/v1/events")
        assert (status, body["code"]) == (429, "rate-limited")
        assert 1 <= int(headers["Retry-After"]) <= 2
        assert body["retry_after"] > 0


async def test_a_batch_counts_as_its_events() -> None:
    async with serving(rate=0.001, burst=10) as site:
        status, _ = await site.publish(*(event(str(n)) for n in range(9)))
        assert status == 200
        status, body = await site.publish(*(event(str(n)) for n in range(9)))
        assert (status, body["code"]) == (429, "rate-limited")
        assert await site.store.head() == 9


def test_a_bucket_fills_with_time_and_never_beyond_its_burst() -> None:
    now = [0.0]
    buckets = Buckets(2.0, 4.0, keep=2, clock=lambda: now[0])
    for _ in range(4):
        buckets.take("a")
    with pytest.raises(RateLimited) as refused:
        buckets.take("a")
    assert refused.value.retry_after == 0.5
    buckets.take("b")
    now[0] = 0.5
    buckets.take("a")
    now[0] = 100.0
    buckets.check("a")
    buckets.take("a", 10.0)
    now[0] = 103.0
    with pytest.raises(RateLimited):
        buckets.check("a")
    now[0] = 103.5
    buckets.take("a")


async def test_busy_is_passed_on_with_its_time(site: Site) -> None:
    class Full:
        async def ask(self, message: Any) -> Any:
            raise Busy("counter/one has too many messages waiting", retry_after=2.5)

    site.door.client = Full()  # pyright: ignore[reportAttributeAccessIssue]
    body = {"message": "Add", "data": {"amount": 1}}
    status, headers, answer = await site.call("POST", "/v1/actors/counter/one/ask", json=body)
    assert (status, answer["code"], headers["Retry-After"]) == (503, "busy", "3")


async def test_requests_beyond_what_can_be_held_are_turned_away() -> None:
    async with serving(max_requests=1) as site:
        entered, leave = asyncio.Event(), asyncio.Event()

        class Slow:
            async def ask(self, message: Any) -> Any:
                entered.set()
                await leave.wait()
                return await site.host.ask(message)

        site.door.client = Slow()  # pyright: ignore[reportAttributeAccessIssue]
        asking = asyncio.create_task(site.ask("counter/one", {"amount": 1}))
        await entered.wait()
        status, _, body = await site.call("GET", "/v1/events")
        assert (status, body["code"]) == (503, "busy")
        assert await site.get("/healthz") == {"status": "ok"}
        leave.set()
        assert (await asking)[0] == 200
        assert (await site.call("GET", "/v1/events"))[0] == 200


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with serving(body_timeout=0.1) as site:
        head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"
        answer = await site.raw(head + b"Content-Length: 100\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"body-timeout"' in answer


async def test_a_request_that_is_never_finished_is_hung_up_on() -> None:
    async with serving(keepalive=0.1) as site:
        assert await site.raw(b"GET /healthz HTTP/1.1\r\nHost: local") == b""


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
)
async def test_what_is_no_proper_http_is_refused_and_hung_up_on(site: Site, request_: bytes) -> None:
    answer = await site.raw(request_)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b"Traceback" not in answer


async def test_every_answer_has_the_security_headers(site: Site) -> None:
    for method, path in (("GET", "/v1/events"), ("GET", "/nowhere"), ("HEAD", "/v1/events/stream")):
        _, headers, _ = await site.call(method, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "thespis"


async def test_a_bug_shows_an_incident_and_nothing_of_itself(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def ask(self, message: Any) -> Any:
            raise RuntimeError("postgres://user:secret@host/db")

    site.door.client = Broken()  # pyright: ignore[reportAttributeAccessIssue]
    body = {"message": "Add", "data": {"amount": 1}}
    status, headers, answer = await site.call("POST", "/v1/actors/counter/one/ask", json=body)
    assert (status, answer["code"], headers["Content-Type"]) == (500, "internal", "application/problem+json")
    assert "secret" not in str(answer)
    (record,) = [r for r in caplog.records if r.name == "thespis.http"]
    incident = answer["detail"].split()[-1]
    assert incident in record.getMessage()


async def test_a_token_store_that_is_away_lets_nobody_in() -> None:
    class Away(MemoryTokens):
        async def get(self, id: str) -> Any:
            raise StoreUnavailable("Postgres does not answer")

    async with serving(Away(), require_token=True) as site:
        headers = {"Authorization": "Bearer ths_aaaaaaaaaaaa_" + "x" * 43}
        status, _, body = await site.call("GET", "/v1/events", headers=headers)
        assert (status, body["code"]) == (503, "store-unavailable")
        assert "Postgres" not in body["detail"]


async def test_where_the_servers_are_is_told_to_operators_only() -> None:
    class Away:
        async def head(self) -> int:
            raise StoreUnavailable("Postgres does not answer (db.internal:5432/thespis)")

    tokens = MemoryTokens()
    operator, _ = await create_token(tokens, "ada", ["admin"])
    reader, _ = await create_token(tokens, "bob", ["events:read"])
    async with serving(tokens, require_token=True) as site:
        site.door.store = Away()  # pyright: ignore[reportAttributeAccessIssue]
        for text, told in ((operator, True), (reader, False)):
            headers = {"Authorization": f"Bearer {text}"}
            status, _, body = await site.call("GET", "/v1/events", headers=headers)
            assert (status, "db.internal" in str(body)) == (503, told)
            status, _, body = await site.call("GET", "/readyz", headers=headers)
            assert (status, "db.internal" in str(body)) == (503, told)
        assert "db.internal" not in str(await site.call("GET", "/readyz"))
