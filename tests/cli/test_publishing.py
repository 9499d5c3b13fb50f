"""Publishing lines: in order, safely repeated, every bad line named, and what is right published all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from events.errors import Busy, Conflict, Forbidden, InvalidData, OutcomeUnknown, ThespisError
from gateway.cli.http import NoServer
from gateway.cli.lines import MAX_LINE, Line, Splitter, batches, count
from gateway.cli.publishing import BATCH, Publisher, fault
from tests.cli.conftest import Thespis
from tests.cli.fake import FakeInstance


def line(id: Any, /, **more: Any) -> bytes:
    event = {"specversion": "1.0", "id": str(id), "source": "/shop", "type": "Sold", "data": {"n": id}}
    return json.dumps(event | more).encode()


def test_a_good_line_has_no_fault() -> None:
    assert fault(line(1)) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "the line is too long"),
        (b"{", "not a CloudEvent in JSON"),
        (b"[]", "not a CloudEvent in JSON"),
        (b'"\xff"', "not UTF-8 at byte 2"),
        (b'{"specversion":"1.0","id":"1","source":"/s"}', "missing required field `type`"),
        (line(1, specversion="0.3"), "specversion is '0.3'"),
        (line(1, id=""), "id is empty"),
        (line(1, source=""), "source is empty"),
        (line(1, type=5), "Expected `str`"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(text: bytes | None, why: str) -> None:
    assert why in fault(text)


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20), st.integers(1, 9))
def test_lines_keep_their_numbers_however_they_arrive(texts: list[bytes], size: int) -> None:
    splitter = Splitter()
    content = b"\n".join(texts)
    found = [one for at in range(0, len(content), size) for one in splitter.feed(content[at : at + size])]
    found += splitter.end()
    assert found == [Line(n, text.strip()) for n, text in enumerate(texts, 1) if text.strip()]


def test_an_endless_line_is_one_bad_line_and_the_next_is_read() -> None:
    splitter = Splitter()
    found: list[Line] = []
    for _ in range(3):
        found += splitter.feed(b"x" * (MAX_LINE // 2 + 1))
    found += splitter.feed(b"\ngood\n")
    assert found == [Line(1, None), Line(2, b"good")]


@given(st.lists(st.integers(1, 300), max_size=40))
def test_batches_keep_the_order_and_their_limits(lengths: list[int]) -> None:
    lines = [Line(n, b"x" * length) for n, length in enumerate(lengths)]
    found = list(batches(lines, 5, 400))
    assert [one for batch in found for one in batch] == lines
    for batch in found:
        assert len(batch) <= 5
        assert len(batch) == 1 or sum(len(one.text or b"") + 1 for one in batch) <= 400


class Server:
    """Records what is sent; `answers` are raised, one per call, before it begins to answer."""

    def __init__(self, *answers: ThespisError | None, refuse: str = "") -> None:
        self.answers = list(answers)
        self.refuse = refuse
        self.positions: dict[str, int] = {}
        self.sizes: list[int] = []
        self.time = 0.0

    async def send(self, body: bytes) -> Sequence[dict[str, Any]]:
        events = msgspec.json.decode(body)
        self.sizes.append(len(events))
        problem = self.answers.pop(0) if self.answers else None
        if isinstance(problem, OutcomeUnknown):
            self.take(events)
        if problem is not None:
            raise problem
        if any(event["id"] == self.refuse for event in events):
            raise InvalidData("event 0: does not fit")
        return self.take(events)

    def take(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"id": e["id"], "position": self.positions.setdefault(e["id"], len(self.positions) + 1)} for e in events
        ]

    async def pause(self, seconds: float) -> None:
        self.time += seconds

    def publisher(self, **options: Any) -> tuple[Publisher, list[tuple[int, str]]]:
        bad: list[tuple[int, str]] = []
        return (
            Publisher(
                self.send,
                on_bad=lambda n, why: bad.append((n, why)),
                pause=self.pause,
                now=lambda: self.time,
                **options,
            ),
            bad,
        )


async def groups(*texts: bytes) -> AsyncIterator[list[Line]]:
    yield [Line(n, text) for n, text in enumerate(texts, 1)]


async def test_all_lines_are_published_in_order() -> None:
    server = Server()
    publisher, bad = server.publisher()
    result = await publisher.run(groups(*map(line, range(1200))))
    assert (result.published, result.first, result.last, result.line, bad) == (1200, 1, 1200, 1200, [])
    assert list(server.positions) == [str(n) for n in range(1200)]
    assert server.sizes == [BATCH, BATCH, 200]


async def test_the_one_line_the_server_refuses_is_found_and_all_others_are_published_once() -> None:
    server = Server(refuse="137")
    publisher, bad = server.publisher()
    result = await publisher.run(groups(*map(line, range(400))))
    assert bad == [(138, "does not fit [invalid-data]")]
    assert (result.published, result.bad) == (399, 1)
    assert set(server.positions) == {str(n) for n in range(400)} - {"137"}


async def test_a_lost_answer_and_a_busy_server_are_tried_again_with_the_same_events() -> None:
    server = Server(OutcomeUnknown(), Busy(retry_after=3.0), NoServer(), None)
    publisher, bad = server.publisher()
    result = await publisher.run(groups(*map(line, range(10))))
    assert (result.published, bad) == (10, [])
    assert len(server.positions) == 10
    assert server.time >= 3.0


async def test_nobody_listening_at_the_first_attempt_is_final() -> None:
    server = Server(NoServer("nobody"))
    publisher, _ = server.publisher()
    with pytest.raises(NoServer):
        await publisher.run(groups(line(1)))
    assert server.time == 0.0


async def test_patience_ends_and_the_result_says_how_far_it_came() -> None:
    server = Server(None, *[Busy() for _ in range(1000)])
    publisher, _ = server.publisher(patience=20.0)
    with pytest.raises(Busy):
        await publisher.run(groups(*map(line, range(BATCH + 1))))
    assert (publisher.result.line, publisher.result.published) == (BATCH, BATCH)
    assert 10 < server.time <= 20


async def test_what_no_other_batch_would_change_ends_the_run() -> None:
    server = Server(Forbidden("no"))
    publisher, _ = server.publisher()
    with pytest.raises(Forbidden):
        await publisher.run(groups(*map(line, range(5))))
    assert server.sizes == [5]


async def test_a_run_can_begin_further_down() -> None:
    server = Server()
    publisher, _ = server.publisher()
    await publisher.run(groups(*map(line, range(10))), from_line=8)
    assert list(server.positions) == ["7", "8", "9"]


async def test_another_body_under_a_known_identity_is_a_bad_line() -> None:
    server = Server(Conflict("this event has another body"), None)
    publisher, bad = server.publisher()
    await publisher.run(groups(line(1)))
    assert bad == [(1, "this event has another body [conflict]")]


# -- as a process


def test_standard_input_is_published_and_counted(thespis: Thespis, instance: FakeInstance) -> None:
    done = thespis("publish", "-", "--url", instance.url, input=b"\n".join(map(line, range(30))))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"published 30 events, positions 1 to 30\n"
    assert [event["data"]["n"] for event in instance.events] == list(range(30))


def test_bad_lines_are_named_on_standard_error_and_the_rest_is_published(
    thespis: Thespis, instance: FakeInstance, tmp_path: Path
) -> None:
    lines = [line(1), b"nonsense", b"", line(2, type="Malformed"), line(3), b"\xff"]
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines))
    done = thespis("publish", "events.ndjson", "--url", instance.url, "-o", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout) == {"published": 2, "bad": 3, "first": 1, "last": 2, "line": 6}
    told = done.stderr.decode().splitlines()
    assert [t.split(":")[0] for t in told] == ["line 2", "line 4", "line 6", "error[invalid-data]", "hint"]


def test_acks_are_printed_as_they_come_and_again_the_same(thespis: Thespis, instance: FakeInstance) -> None:
    body = b"\n".join(map(line, range(5)))
    first = thespis("publish", "-", "--acks", "--url", instance.url, input=body)
    again = thespis("publish", "-", "--acks", "--url", instance.url, input=body)
    assert first.stdout == again.stdout
    assert [json.loads(ack) for ack in first.stdout.splitlines()] == [
        {"id": str(n), "position": n + 1} for n in range(5)
    ]


def test_an_answer_that_is_lost_is_asked_for_again(thespis: Thespis, instance: FakeInstance) -> None:
    lost: list[str] = []

    def lose(request: web.Request) -> None:
        if not lost and request.transport is not None:
            lost.append(request.path)
            request.transport.abort()

    instance.after = lose
    done = thespis("publish", "-", "--url", instance.url, input=b"\n".join(map(line, range(5))))
    assert done.stdout == b"published 5 events, positions 1 to 5\n"
    assert (len(lost), len(instance.events)) == (1, 5)


def test_one_event_is_published_from_options(thespis: Thespis, instance: FakeInstance, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{ "total": 5 }')
    done = thespis(
        "publish", "--type", "Sold", "--source", "/shop", "--id", "7", "--data", "@data.json", "--url", instance.url,
        "-o", "jsonl",
    )  # fmt: skip
    assert json.loads(done.stdout) == {"id": "7", "position": 1}
    assert instance.events[0]["data"] == {"total": 5}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["publish"], 2, "error[usage]: give FILE (or -)"),
        (["publish", "-", "--type", "T"], 2, "error[usage]: FILE and --type do not go together"),
        (["publish", "nowhere.ndjson"], 2, "error[usage]: Invalid value for '[FILE]'"),
        (["publish", "--type", "T", "--source", "/s", "--data", "{"], 4, "error[invalid-data]: --data is not JSON"),
        (["publish", "--type", "T", "--source", "/s", "--data", "@nowhere"], 1, "error[system]: nowhere: No such file"),
    ],
)
def test_wrong_usage_publishes_nothing(
    thespis: Thespis, instance: FakeInstance, arguments: list[str], code: int, said: str
) -> None:
    done = thespis(*arguments, "--url", instance.url)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode().startswith(said)
    assert instance.events == []


def test_a_progress_bar_is_drawn_on_a_terminal_and_only_there(
    thespis: Thespis, instance: FakeInstance, tmp_path: Path
) -> None:
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(map(line, range(30))))
    ours, theirs = os.openpty()
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", "gateway.main", "publish", "events.ndjson", "--url", instance.url],
            cwd=tmp_path,
            env=thespis.environment | {"TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        shown, _ = running.communicate(timeout=60)
        drawn = os.read(ours, 100_000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (running.returncode, shown) == (0, b"published 30 events, positions 1 to 30\n")
    assert b"publishing" in drawn
    assert b"30/30" in drawn


def test_lines_left_in_a_file_are_counted_and_those_of_a_pipe_are_not(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    for content, expected in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2)):
        file.write_bytes(content)
        with file.open("rb") as opened:
            assert count(opened) == expected
            assert opened.read() == content
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert count(pipe) is None
