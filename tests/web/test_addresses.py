"""Which addresses and URLs are refused, by tables of nasty ones."""

from __future__ import annotations

import pytest

from infra.tools.web.addresses import closed
from infra.tools.web.guard import Blocked, Guard, Unreachable
from infra.tools.web.urls import BadUrl, joined, target
from tests.web.pages import Says

CLOSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
    "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1",
]  # fmt: skip

OPEN = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1",
    "223.255.255.255",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450:4001::200e",
]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_on_the_open_internet_is_closed(address: str) -> None:
    assert closed(address)


@pytest.mark.parametrize("address", OPEN)
def test_an_address_on_the_open_internet_is_open(address: str) -> None:
    assert not closed(address)


REFUSED = [
    "file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:text/html,x", "javascript:alert(1)",
    "//example.com/", "example.com", "", "http://", "http:///path", "http://user@example.com/",
    "http://user:pass@example.com/", "http://example.com@127.0.0.1/", "http://example.com\\@127.0.0.1/",
    "http://exam ple.com/", "http://example.com/\r\nX: y", "http://example.com/\x00", "http://2130706433/",
    "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/", "http://127.1/",
    "http://127.0.1/", "http://127.0.0.0x1/", "http://127.0.0.1.1/", "http://256.256.256.256/", "http://1.2.3.4.0x/",
    "http://[::1/", "http://[fe80::1%25eth0]/", "http://[::ffff:127.0.0.1]x/", "http://[v1.x]/", "http://example.com:0/",
    "http://example.com:99999/", "http://example.com:x/", "http://%31%32%37.0.0.1/", "http://exa%6dple.com/",
    "http://..example.com/", "http://example..com/", "http://-example.com/", f"http://{'a' * 64}.com/",
    f"http://{'a.' * 130}com/", "http://example.com/" + "a" * 5000, "http://ex\u200bample.com:80:80/", "http://a?b@c\\d/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_others_may_read_differently_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        target(url)


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("HTTP://Example.COM/", "http://example.com/"),
        ("http://example.com.:80/a", "http://example.com/a"),
        ("http://example.com?q=1", "http://example.com/?q=1"),
        ("https://example.com:443/x#fragment", "https://example.com/x"),
        ("http://ｅｘａｍｐｌｅ。com/", "http://example.com/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://①②⑦.0.0.①/", "http://127.0.0.1/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://example.com/%2e%2e/a%20b", "http://example.com/%2e%2e/a%20b"),
    ],
)
def test_a_host_has_one_spelling(url: str, becomes: str) -> None:
    assert str(target(url)) == becomes


def test_a_redirect_is_read_like_a_url_and_may_be_relative() -> None:
    base = target("https://example.com/a/b")
    assert str(joined(base, "../c?d")) == "https://example.com/c?d"
    assert str(joined(base, "//other.example/")) == "https://other.example/"
    with pytest.raises(BadUrl):
        joined(base, "file:///etc/passwd")
    with pytest.raises(BadUrl):
        joined(base, "http://user@example.com/")


@pytest.mark.parametrize("address", [each for each in CLOSED if "%" not in each])
async def test_a_name_that_leads_inside_is_blocked(address: str) -> None:
    with pytest.raises(Blocked, match="leads to"):
        await Guard(resolver=Says([address])).resolve("example.com", 443, False)


async def test_one_bad_answer_among_good_ones_blocks_all() -> None:
    with pytest.raises(Blocked):
        await Guard(resolver=Says(["8.8.8.8", "2606:4700::1111", "127.0.0.1"])).resolve("example.com", 443, False)


@pytest.mark.parametrize("port", [22, 25, 6379, 8080, 5432])
async def test_ports_are_closed_unless_they_are_opened(port: int) -> None:
    with pytest.raises(Blocked, match="port"):
        await Guard(resolver=Says(["8.8.8.8"])).resolve("example.com", port, False)
    opened = Guard(ports=[80, 443, port], resolver=Says(["8.8.8.8"]))
    assert await opened.resolve("example.com", port, False) == ["8.8.8.8"]


async def test_a_permit_is_for_one_host_and_one_port() -> None:
    guard = Guard(["intranet.example:8080", "[::1]:9000"], resolver=Says(["10.0.0.5"]))
    assert await guard.resolve("intranet.example", 8080, False) == ["10.0.0.5"]
    assert await guard.resolve("::1", 9000, True) == ["::1"]
    for host, port, literal in (("intranet.example", 80, False), ("other.example", 8080, False), ("::1", 80, True)):
        with pytest.raises(Blocked):
            await guard.resolve(host, port, literal)


async def test_a_permitted_name_does_not_lead_to_the_metadata_of_a_cloud() -> None:
    with pytest.raises(Blocked, match="link-local"):
        await Guard(["intranet.example:80"], resolver=Says(["169.254.169.254"])).resolve("intranet.example", 80, False)


async def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await Guard(resolver=Says([])).resolve("example.com", 443, False)


def test_what_the_kernel_says_of_a_socket_is_judged_too() -> None:
    guard = Guard()
    guard.verify(("8.8.8.8", 443), "example.com", None)
    with pytest.raises(Blocked):
        guard.verify(("127.0.0.1", 443), "example.com", None)
    with pytest.raises(Blocked):
        guard.verify(None, "example.com", None)
