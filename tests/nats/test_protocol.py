"""The reader of the wire protocol, and headers as bytes."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InvalidData, InvalidName
from infra.nats.protocol import decode_headers, encode_headers, publication, status_of
from infra.nats.reader import Reader

HEAD = b"NATS/1.0\r\na: b\r\n\r\n"
STREAM = (
    b"PING\r\n"
    b"MSG plain 1 5\r\nhello\r\n"
    b"MSG with.reply 1 answer.here 0\r\n\r\n"
    b"+OK\r\n"
    b"HMSG headed 1 %d %d\r\n%bbody\r\n" % (len(HEAD), len(HEAD) + 4, HEAD) + b"PONG\r\n"
    b"HMSG both 1 back %d %d\r\n%b\r\nx\r\n" % (len(HEAD), len(HEAD) + 3, HEAD) + b"MSG slow 2 2\r\nok\r\n"
    b'INFO {"version":"2.15.1"}\r\n'
)


class FakeClient:
    """What the reader calls of nats-py's client."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._pongs: list[Any] = []
        self._pings_outstanding = 0
        self.reader: Reader | None = None

    async def _process_msg(self, *arguments: Any) -> None:
        self.calls.append(arguments)

    async def _process_ping(self) -> None:
        self.calls.append("ping")

    async def _process_pong(self) -> None:
        self.calls.append("pong")

    async def _process_info(self, info: Any) -> None:
        self.calls.append(info)

    async def _error_cb(self, error: Exception) -> None:
        self.calls.append(str(error))

    async def _process_op_err(self, error: Exception) -> None:
        self.calls.append(error)
        assert self.reader is not None
        self.reader.reset()


def reading() -> tuple[FakeClient, Reader, list[tuple[bytes, ...]]]:
    client = FakeClient()
    reader = Reader(cast("Any", client))
    client.reader = reader
    received: list[tuple[bytes, ...]] = []
    reader.direct[b"1"] = lambda *arguments: received.append(arguments)
    return client, reader, received


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
async def test_messages_are_found_however_the_bytes_arrive(cuts: list[int]) -> None:
    client, reader, received = reading()
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(edges):
        await reader.parse(STREAM[start:end])
    assert received == [
        (b"plain", b"", b"", b"hello"),
        (b"with.reply", b"answer.here", b"", b""),
        (b"headed", b"", HEAD, b"body"),
        (b"both", b"back", HEAD, b"\r\nx"),
    ]
    assert client.calls == ["ping", "pong", (2, b"slow", b"", b"ok", b""), {"version": "2.15.1"}]


async def test_a_receiver_that_fails_does_not_stop_the_reader(caplog: pytest.LogCaptureFixture) -> None:
    _, reader, received = reading()

    def fails(*arguments: bytes) -> None:
        raise ValueError(arguments)

    reader.direct[b"3"] = fails
    with caplog.at_level(logging.CRITICAL, "thespis.nats"):
        await reader.parse(b"MSG bad 3 0\r\n\r\nMSG good 1 0\r\n\r\n")
    assert [subject for subject, *_ in received] == [b"good"]


async def test_an_error_of_the_server_leads_to_a_reconnect_except_for_permissions() -> None:
    client, reader, received = reading()
    await reader.parse(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\nMSG a 1 0\r\n\r\n")
    assert "Permissions Violation" in client.calls[0]
    await reader.parse(b"-ERR 'Slow Consumer'\r\nMSG of.the.old.connection 1 0\r\n\r\n")
    assert isinstance(client.calls[1], Exception)
    await reader.parse(b"MSG b 1 0\r\n\r\n")
    assert [subject for subject, *_ in received] == [b"a", b"b"]


async def test_rubbish_leads_to_a_reconnect() -> None:
    client, reader, _ = reading()
    await reader.parse(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert isinstance(client.calls[0], Exception)


async def test_a_late_pong_of_a_flush_that_gave_up_does_no_harm() -> None:
    client, reader, _ = reading()

    class Done:
        def done(self) -> bool:
            return True

    client._pongs = [Done()]
    await reader.parse(b"PONG\r\n")
    assert client._pongs == []
    assert client.calls == []


def test_headers_survive() -> None:
    headers = {"ce-id": "1", "X": "a: b", "empty": ""}
    assert decode_headers(encode_headers(headers)) == headers
    assert decode_headers(b"NATS/1.0\r\nName:  padded \t\r\nName2:x\r\n\r\n") == {"Name": "padded", "Name2": "x"}


def test_a_status_is_found() -> None:
    block = b"NATS/1.0 409 Consumer Deleted\r\nNats-Pending-Messages: 3\r\n\r\n"
    assert status_of(block) == 409
    assert decode_headers(block) == {
        "Status": "409",
        "Description": "Consumer Deleted",
        "Nats-Pending-Messages": "3",
    }
    assert status_of(b"NATS/1.0 503\r\n\r\n") == 503
    assert status_of(b"NATS/1.0\r\na: b\r\n\r\n") == 0


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"": "c"}, {"a": "b\r\nc: d"}, {"a\r\n": "b"}])
def test_headers_that_would_break_out_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidData):
        publication("s", b"", headers)


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a\tb"])
def test_subjects_that_would_break_out_are_refused(subject: str) -> None:
    with pytest.raises(InvalidName):
        publication(subject, b"")
