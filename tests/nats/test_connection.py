"""Connecting: who we are, what is said when it does not work, and living through restarts."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import nkeys
import pytest

from events.errors import BusUnavailable, DeadlineExceeded, Invalid, NotFound, TooLarge
from infra.embedded import ports
from infra.embedded.nats import program
from infra.nats.connection import Connection, JetStreamError, connect
from infra.nats.options import options, redacted
from tests.nats.fakes import eventually
from tests.servers import Nats

Configured = Callable[[str], Awaitable[int]]


@pytest.fixture
async def configured(tmp_path: Path) -> AsyncIterator[Configured]:
    """A function that starts a server with a configuration of one's own and returns its port."""
    running: list[asyncio.subprocess.Process] = []

    async def start(text: str) -> int:
        port = ports.free()
        file = tmp_path / f"{port}.conf"
        file.write_text(f"host: 127.0.0.1\nport: {port}\n{text}\n")
        process = await asyncio.create_subprocess_exec(
            str(program()), "-c", str(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.append(process)

        async def listening() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await eventually(listening)
        return port

    yield start
    for process in running:
        process.kill()
        await process.wait()


async def works(connection: Connection) -> None:
    with pytest.raises(NotFound):
        await connection.request("pub.nobody.home", b"")
    await connection.close()


# -- who we are


def test_the_url_says_who_we_are() -> None:
    assert options("nats://ada:p%40ss@h:1234", {}) == {
        "servers": ["nats://h:1234"],
        "user": "ada",
        "password": "p@ss",
        "inbox_prefix": "_INBOX_ada",
    }
    assert options("h?inbox=_INBOX.mine", {}) == {"servers": ["nats://h:4222"], "inbox_prefix": "_INBOX.mine"}
    assert options("t0ken@h, h2:5", {}) == {"servers": ["nats://h:4222", "nats://h2:5"], "token": "t0ken"}
    assert options("nats://[::1]:4333", {"NATS_NKEY_SEED": "S"}) == {
        "servers": ["nats://[::1]:4333"],
        "nkeys_seed_str": "S",
    }
    assert isinstance(options("tls://h", {})["tls"], ssl.SSLContext)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("", {}),
        ("http://h", {}),
        ("nats://", {}),
        ("nats://h:port", {}),
        ("nats://h?nkey=/no/such/file", {}),
        ("nats://h?inbox=a.*", {}),
        ("nats://h?inbox=a..b", {}),
        ("tls://h", {"NATS_CA": "/no/such/file"}),
    ],
)
def test_a_bad_url_is_said_to_be_bad(url: str, environment: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        options(url, environment)


def test_messages_do_not_show_secrets() -> None:
    assert redacted("nats://ada:secret@h:1,tls://tok@h2?nkey=/x") == "h:1,h2"


async def test_the_right_password_connects_and_a_wrong_one_is_said_at_once(nats_server: Nats) -> None:
    await works(await connect(nats_server.host_url))
    for _ in range(200):  # the server hangs up at once: sometimes that is noticed before its reason was told
        with pytest.raises(BusUnavailable, match=r"(?i)authorization") as raised:
            await connect(f"nats://host:wrong-secret@127.0.0.1:{nats_server.embedded.port}", timeout=60)
        assert "wrong-secret" not in raised.value.message


async def test_a_client_hears_no_replies_but_its_own_and_can_forge_none(nats_server: Nats) -> None:
    host, client = await connect(nats_server.host_url), await connect(nats_server.client_url)
    heard: list[bytes] = []

    async def answer(connection: Connection) -> None:
        await connection.listen(
            "ask.1.echo", lambda _subject, reply, _head, data: connection.send(reply.decode(), data)
        )
        await connection.settled()

    await answer(host)
    for subject in ("_INBOX_host.>", "_INBOX_relay.>", "*.>", ">"):
        await client.listen(subject, lambda subject, _reply, _head, _data: heard.append(subject))
    await eventually(lambda: "permissions violation" in client.error.lower())
    assert b"mine" in await client.request("ask.1.echo", b"mine")
    assert b"theirs" in await host.request("ask.1.echo", b"theirs")
    forged = asyncio.Event()
    inbox = host.client.new_inbox()
    assert inbox.startswith("_INBOX_host.")
    await host.listen(inbox, lambda *_: forged.set())
    await host.settled()
    for target in (inbox, inbox.replace("_host", ""), inbox.replace("_host", "_client")):
        client.send(target, b"forged")
    await client.settled()
    assert b"after" in await host.request("ask.1.echo", b"after")
    assert (heard, forged.is_set()) == ([], False)
    await client.close()
    await host.close()


async def test_an_nkey_seed_connects(configured: Configured, tmp_path: Path) -> None:
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    port = await configured(f"authorization: {{ users: [ {{ nkey: {public} }} ] }}")
    file = tmp_path / "seed"
    file.write_bytes(bytes(seed) + b"\n")
    await works(await connect(f"nats://127.0.0.1:{port}?nkey={file}", environment={}))
    await works(await connect(f"nats://127.0.0.1:{port}", environment={"NATS_NKEY_SEED": bytes(seed).decode()}))
    with pytest.raises(BusUnavailable, match=r"(?i)authorization"):
        await connect(f"nats://127.0.0.1:{port}", environment={}, timeout=60)


async def test_a_token_connects(configured: Configured) -> None:
    port = await configured("authorization: { token: s3cret }")
    await works(await connect(f"nats://s3cret@127.0.0.1:{port}"))


def certificates(directory: Path) -> tuple[Path, Path]:
    key, certificate = directory / "key.pem", directory / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


async def test_tls_connects_to_a_trusted_server_only(configured: Configured, tmp_path: Path) -> None:
    key, certificate = certificates(tmp_path)
    port = await configured(f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    await works(await connect(f"tls://127.0.0.1:{port}", environment={"NATS_CA": str(certificate)}))
    with pytest.raises(BusUnavailable, match=r"(?i)certificate"):
        await connect(f"tls://127.0.0.1:{port}", environment={}, timeout=1)


async def test_tls_that_is_not_offered_is_refused(configured: Configured) -> None:
    port = await configured("")
    with pytest.raises(BusUnavailable, match="TLS"):
        await connect(f"tls://127.0.0.1:{port}", environment={})


async def test_no_server_is_said_in_one_line() -> None:
    with pytest.raises(BusUnavailable, match=r"NATS at 127\.0\.0\.1:9 does not answer: .*failed") as raised:
        await connect("nats://user:secret@127.0.0.1:9", timeout=0.3)
    assert "\n" not in raised.value.message
    assert "secret" not in raised.value.message


# -- living on


async def test_requests_and_subscriptions_work_again_after_a_restart(nats_server: Nats, connection: Connection) -> None:
    again = asyncio.Event()
    down = asyncio.Event()
    connection.on_reconnect.append(again.set)
    connection.on_disconnect.append(down.set)
    heard: list[bytes] = []
    await connection.listen("hello", lambda subject, reply, head, data: heard.append(data))
    await nats_server.kill()
    async with asyncio.timeout(20):
        await down.wait()
    assert not connection.connected
    with pytest.raises(BusUnavailable):
        await connection.request("hello", b"", timeout=0.05)
    connection.send("hello", b"kept until it is back")
    await nats_server.restart()
    async with asyncio.timeout(20):
        await again.wait()
        await connection.up()
    connection.send("hello", b"now")
    await eventually(lambda: b"now" in heard)
    assert b"kept until it is back" in heard


async def test_what_is_kept_for_a_server_that_is_away_is_bounded(nats_server: Nats, connection: Connection) -> None:
    down = asyncio.Event()
    connection.on_disconnect.append(down.set)
    await nats_server.kill()
    async with asyncio.timeout(20):
        await down.wait()
    for _ in range(8):
        connection.send("anything", b"x" * 1_000_000)
    with pytest.raises(BusUnavailable):
        connection.send("anything", b"x" * 1_000_000)
    await nats_server.restart()


async def test_what_a_server_is_slow_to_read_arrives_whole_and_in_order() -> None:
    reads, arrived = asyncio.Event(), bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload":1048576,"headers":true,"proto":1}\r\n')
        while b"PING\r\n" not in arrived:
            arrived.extend(await reader.read(65536))
        writer.write(b"PONG\r\n")
        await reads.wait()
        while not arrived.endswith(b"the end\r\n"):
            arrived.extend(await reader.read(1 << 20))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        connection = await connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for number in range(3000):  # 24 MB: more than the sockets hold
            connection.send("x", b"m%06d" % number + b"." * 8000)
            await asyncio.sleep(0)
        assert connection.client.pending_data_size > 0, "some of it waits here"
        reads.set()
        for number in range(3000, 6000):
            connection.send("x", b"m%06d" % number)
            await asyncio.sleep(0)
        connection.send("x", b"the end")
        await eventually(lambda: arrived.endswith(b"the end\r\n"))
        found = [int(number) for number in re.findall(rb"\bm([0-9]{6})", arrived)]
        assert found == list(range(6000))
        await connection.close()


async def test_a_message_above_the_servers_limit_is_refused_here(connection: Connection) -> None:
    with pytest.raises(TooLarge):
        connection.send("anything", b"x" * (9 * 1024 * 1024))


async def test_jetstream_says_what_it_refuses(connection: Connection) -> None:
    with pytest.raises(JetStreamError, match="stream not found") as raised:
        await connection.jetstream("STREAM.INFO.NOPE")
    assert (raised.value.status, raised.value.number) == (404, 10059)


async def test_no_jetstream_is_bus_unavailable(configured: Configured) -> None:
    connection = await connect(f"nats://127.0.0.1:{await configured('')}")
    with pytest.raises(BusUnavailable, match="JetStream"):
        await connection.jetstream("STREAM.INFO.EV")
    await connection.close()


async def test_a_violation_of_permissions_does_not_end_the_connection(nats_server: Nats) -> None:
    connection = await connect(nats_server.client_url)
    for subject in ("ev.default.x.y.Z", "host.1.default.x.y", "ctl.1.default.x.y", "live.default.x.y.z"):
        connection.error = ""
        connection.send(subject, b"")
        await eventually(lambda: "permissions violation" in connection.error.lower())
    connection.error = ""
    await connection.listen("tell.me", lambda *_: None)
    await eventually(lambda: "permissions violation" in connection.error.lower())
    await works(connection)


async def test_an_open_request_ends_when_the_connection_is_closed(connection: Connection) -> None:
    await connection.listen("deaf", lambda *_: None)
    asked = asyncio.create_task(connection.request("deaf", b"", timeout=60))
    await connection.settled()
    await connection.close()
    with pytest.raises(BusUnavailable, match="closed"):
        await asked
    with pytest.raises(BusUnavailable):
        await connection.request("deaf", b"")
    with pytest.raises(BusUnavailable):
        await connection.listen("deaf", lambda *_: None)


async def test_a_request_that_was_cancelled_leaves_nothing_behind(connection: Connection) -> None:
    await connection.listen("deaf", lambda *_: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await connection.request("deaf", b"", timeout=0.05)
    with pytest.raises(DeadlineExceeded):
        await connection.request("deaf", b"", timeout=0.1)
