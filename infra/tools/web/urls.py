"""Reading a URL once, strictly: what is judged is what is connected to."""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec
from yarl import URL

from actors.tools.tool import ToolError

LONGEST: Final = 4096
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTS: Final = str.maketrans({"。": ".", "．": ".", "｡": "."})
_PORTS: Final = {"http": 80, "https": 443}


class BadUrl(ToolError):
    """A URL that is not fetched, whatever it leads to."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="bad-url")


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads. `host` is a name in lower-case ASCII without a dot at its end, or an address as it is
    canonically written; `literal` says which. `path` begins with a slash and has the query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: bool

    @property
    def netloc(self) -> str:
        """Host and port, the latter if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> URL:
        """What is requested, as it is and not parsed again."""
        return URL(f"{self.scheme}://{self.netloc}{self.path}", encoded=True)

    def __str__(self) -> str:
        return str(self.url)


def target(url: str) -> Target:
    """Read an absolute URL. Raises BadUrl for whatever is not plain http or https, has credentials in it, or spells its
    host in a way others may read differently."""
    if len(url) > LONGEST:
        raise BadUrl(f"the URL is longer than {LONGEST} characters")
    url = url.strip(" ")
    if any(char <= " " or char == "\x7f" for char in url) or "\\" in url:
        raise BadUrl("the URL has spaces, control characters or backslashes in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"not a URL: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise BadUrl(f"only http and https are fetched, not {scheme or 'a relative URL'!r}")
    if "@" in parts.netloc:
        raise BadUrl("the URL has credentials in it")
    if port == 0:
        raise BadUrl("port 0 is none")
    host, literal = host_of(parts.netloc)
    return Target(scheme, host, port or _PORTS[scheme], _path(parts.path, parts.query), literal)


def joined(base: Target, location: str) -> Target:
    """Where a redirect leads. Raises BadUrl."""
    if len(location) > LONGEST:
        raise BadUrl(f"a redirect to a URL longer than {LONGEST} characters")
    try:
        return target(urljoin(str(base), location.strip(" ")))
    except ValueError as error:
        raise BadUrl(f"a redirect to what is not a URL: {error}") from None


def host_of(netloc: str) -> tuple[str, bool]:
    """The host of `host[:port]` in its one spelling, and whether it is an address. Raises BadUrl."""
    if netloc.startswith("["):
        inside, closing, rest = netloc[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise BadUrl("the host is not an address in brackets")
        try:
            address = IPv6Address(inside)
        except ValueError:
            raise BadUrl(f"{inside!r} is not an IPv6 address") from None
        if address.scope_id:
            raise BadUrl("an address with a zone")
        return str(address), True
    name = netloc.rpartition(":")[0] if ":" in netloc else netloc
    return named(name)


def named(name: str) -> tuple[str, bool]:
    """A host that is a name or an IPv4 address, in its one spelling. Raises BadUrl."""
    plain = unicodedata.normalize("NFKC", name.translate(_DOTS)).lower().removesuffix(".")
    if not plain or len(plain) > 253:
        raise BadUrl("the URL has no host" if not plain else "the host is too long")
    labels = [_ascii(label) for label in plain.split(".")]
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl(f"{name!r} is not the name of a host")
    if not _NUMBER.fullmatch(labels[-1]):
        return ".".join(labels), False
    # Whatever ends in a number is an address to some reader: octal, hexadecimal, short forms.
    try:
        address = IPv4Address(".".join(labels))
    except ValueError:
        raise BadUrl(f"{name!r} is an odd spelling of an address") from None
    return str(address), True


def _ascii(label: str) -> str:
    if label.isascii():
        return label
    try:
        return label.encode("idna").decode("ascii")
    except UnicodeError:
        raise BadUrl(f"{label!r} cannot be part of a host's name") from None


def _path(path: str, query: str) -> str:
    """Path and query with everything escaped that is not ASCII."""
    made = (
        URL.build(path="/").with_path(path, encoded=True).raw_path if path.isascii() else URL.build(path=path).raw_path
    )
    if not made.startswith("/"):
        made = "/" + made
    if query:
        made += "?" + (query if query.isascii() else URL.build(path="/", query_string=query).raw_query_string)
    return made
