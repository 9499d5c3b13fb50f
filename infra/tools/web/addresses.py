"""Which addresses are on the open internet, and which are not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, cast

Address = IPv4Address | IPv6Address

_CLOSED_4: Final = [
    (cast(IPv4Network, ip_network(network)), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
"""The special-purpose registry of IANA for IPv4, as far as it is not on the open internet."""

_CLOSED_6: Final = [
    (cast(IPv6Network, ip_network(network)), why)
    for network, why in (
        ("2001::/23", "reserved, Teredo among it"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "documentation"),
    )
]
"""What is not open within 2000::/3; outside of it nothing is."""

_MAPPED: Final = cast(IPv6Network, ip_network("::ffff:0:0/96"))
_TRANSLATED: Final = cast(IPv6Network, ip_network("64:ff9b::/96"))
_UNICAST: Final = cast(IPv6Network, ip_network("2000::/3"))
_OTHERS_6: Final = [
    (cast(IPv6Network, ip_network(network)), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
]

PRIVATE: Final = frozenset({"private", "loopback", "shared by carriers"})
"""What a name that is permitted may lead to; link-local ones, where clouds keep credentials, only by their address."""


def closed(address: str) -> str:
    """Why nothing may be connected to at this address, "" when it is on the open internet.

    An IPv6 address that carries an IPv4 one (mapped, translated by 64:ff9b::/96) is judged by that.
    Raises ValueError when it is no address.
    """
    return _closed(ip_address(address))


def _closed(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return next((why for network, why in _CLOSED_4 if address in network), "")
    if address.scope_id:
        return "link-local"
    if address in _MAPPED or address in _TRANSLATED:
        return _closed(IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _UNICAST:
        return next((why for network, why in _OTHERS_6 if address in network), "reserved")
    if (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE:  # ISATAP: the rest is an IPv4 address
        return _closed(IPv4Address(int(address) & 0xFFFFFFFF))
    return next((why for network, why in _CLOSED_6 if address in network), "")
