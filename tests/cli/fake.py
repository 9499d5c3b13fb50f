"""A strict stand-in for a running instance: it answers documented routes from memory and refuses everything else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from events.errors import InvalidData, KeyReused, NotFound, Refused, ThespisError, Unauthenticated
from gateway.problems import MEDIA_TYPE, problem, row

TOKEN = "ths_secret"


class FakeInstance:
    """Events by (source, id), actors as one JSON object each. `fault` may raise or answer before anything else."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[dict[str, Any]] = []
        self.actors: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[web.Request], web.Response | None] = lambda _request: None
        self.after: Callable[[web.Request], None] = lambda _request: None
        self.token = ""

    @web.middleware
    async def around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path))
        try:
            if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
                raise Unauthenticated("this is not a token")
            early = self.fault(request)
            if early is not None:
                return early
            answer = await handler(request)
        except ThespisError as error:
            return web.Response(
                body=msgspec.json.encode(problem(error)), status=row(type(error)).status, content_type=MEDIA_TYPE
            )
        self.after(request)
        return answer

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.around])
        app.router.add_get("/v1/events", self.list_events)
        app.router.add_post("/v1/events", self.publish)
        app.router.add_get("/v1/events/stream", self.stream)
        app.router.add_get("/v1/actors/{kind}/{id}", self.show)
        app.router.add_post("/v1/actors/{kind}/{id}/{verb}", self.message)
        return app

    def record(self, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("type") == "Malformed":
            raise InvalidData("Malformed: does not fit its type")
        for old in self.events:
            if (old["source"], old["id"]) == (event["source"], event["id"]):
                if old["data"] != event.get("data"):
                    raise KeyReused("this event has another body")
                return {"id": old["id"], "position": old["position"]}
        position = len(self.events) + 1
        stream = "feed" + event["source"]
        self.events.append(
            {
                "position": position,
                "id": event["id"],
                "source": event["source"],
                "type": event["type"],
                "stream": stream,
                "version": 1 + sum(e["stream"] == stream for e in self.events),
                "time": "2026-11-23T14:00:00Z",
                "data": event.get("data"),
            }
        )
        return {"id": event["id"], "position": position}

    async def publish(self, request: web.Request) -> web.Response:
        body = await request.read()
        match request.content_type:
            case "application/cloudevents-batch+json":
                sent = msgspec.json.decode(body, type=list[dict[str, Any]])
            case "application/cloudevents+json":
                sent = [msgspec.json.decode(body, type=dict[str, Any])]
            case other:
                raise InvalidData(f"{other} is not read here")
        assert all(event["specversion"] == "1.0" for event in sent)
        if any(event.get("type") == "Malformed" for event in sent):
            raise InvalidData("Malformed: does not fit its type")
        return web.json_response({"events": [self.record(event) for event in sent]})

    def _matching(self, request: web.Request) -> list[dict[str, Any]]:
        unknown = set(request.query) - {"after", "limit", "type", "stream", "correlation"}
        if unknown:
            raise InvalidData(f"unknown parameter {unknown}")
        return [
            e for e in self.events if all(e[k] == request.query[k] for k in ("type", "stream") if k in request.query)
        ]

    async def list_events(self, request: web.Request) -> web.Response:
        """Pages of at most three, so that paging is seen."""
        after, limit = int(request.query.get("after", 0)), min(int(request.query.get("limit", 100)), 3)
        left = [e for e in self._matching(request) if e["position"] > after]
        page = left[:limit]
        last = page[-1]["position"] if page else after
        return web.json_response({"events": page, "next": last, "more": len(left) > limit, "head": len(self.events)})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Two events per connection, so that taking up again is seen."""
        last = int(request.headers.get("Last-Event-ID", request.query.get("after", len(self.events))))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\n")
        for event in [e for e in self.events if e["position"] > last][:2]:
            data = msgspec.json.encode(event).decode()
            await response.write(f"id: {event['position']}\nevent: event\ndata: {data}\n\n".encode())
        await response.write_eof()
        return response

    async def show(self, request: web.Request) -> web.Response:
        address = f"{request.match_info['kind']}/{request.match_info['id']}"
        if address not in self.actors:
            raise NotFound(f"there is no actor {address}", hint="`thespis actors list` shows those that exist")
        at = request.query.get("at")
        return web.json_response(
            {
                "address": address,
                "kind": request.match_info["kind"],
                "version": int(at or 7),
                "state": self.actors[address],
            }
        )

    async def message(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        body = await request.json()
        if key in self.answers:
            return web.json_response(self.answers[key] | {"duplicate": True})
        address = f"{request.match_info['kind']}/{request.match_info['id']}"
        if body.get("message") == "Overdraw":
            raise Refused("insufficient funds", code="insufficient")
        balance = self.actors.setdefault(address, {"balance": 0})
        balance["balance"] += body["data"]["amount"]
        answer = {"id": key, "outcome": "handled", "position": 9, "version": 2, "duplicate": False, "reply": balance}
        self.answers[key] = answer
        return web.json_response(answer)


@contextmanager
def serving() -> Iterator[FakeInstance]:
    """The fake on a free port of this machine, in a thread of its own."""
    fake = FakeInstance()
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(fake.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
