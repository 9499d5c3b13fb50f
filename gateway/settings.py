"""Every setting of the door, with its default. Read from `THESPIS_<NAME>` in the environment; the command line wins."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any, Final

from events.address import DEFAULT_TENANT
from events.errors import InvalidSetting


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the door. Sizes are bytes, times seconds, rates per second."""

    host: str = _setting("127.0.0.1", "address to listen on; anything but loopback needs tokens")
    port: int = _setting(8321, "port to listen on; 0 takes a free one")
    require_token: bool = _setting(False, "ask for a token on loopback too")
    tenant: str = _setting(DEFAULT_TENANT, "tenant of those who come without a token")
    allowed_hosts: str = _setting("", "more names for the Host header of tokenless requests, separated by commas")
    token_cache: float = _setting(5.0, "how long a checked token is trusted: a revoked one ends within this time")

    max_event: int = _setting(1 << 20, "largest body of a single event or message")
    max_batch: int = _setting(8 << 20, "largest body of a batch")
    max_batch_events: int = _setting(1000, "most events in a batch")
    max_depth: int = _setting(64, "deepest nesting of JSON")
    max_header: int = _setting(16384, "largest single header, and largest request line")
    max_headers: int = _setting(100, "most headers of a request")
    body_timeout: float = _setting(30.0, "time for a body to arrive")
    ask_timeout: float = _setting(10.0, "time an ask waits for its answer, unless `Prefer: wait=` says otherwise")
    max_wait: float = _setting(60.0, "longest wait anybody may ask for")

    completion_wait: float = _setting(590.0, "longest that an unstreamed chat completion is waited for")

    page: int = _setting(100, "rows of a page, unless `limit` says otherwise")
    max_page: int = _setting(1000, "most rows of a page")
    horizon_days: float = _setting(30.0, "how long handled messages are kept; an older key is refused; 0: for ever")
    keep_builds: float = _setting(3600.0, "how long the build before is kept up to date after a projection's switch")
    max_scan: int = _setting(20_000, "most events one filtered request reads from the log before it answers in part")

    rate: float = _setting(20_000.0, "requests, and events of batches, per principal and second; 0: unlimited")
    burst: int = _setting(40_000, "how far a principal may run ahead of its rate")
    denials: float = _setting(5.0, "wrong tokens per address and second; 0: unlimited")
    max_requests: int = _setting(2000, "most requests in hand at a time")

    max_streams: int = _setting(256, "most live streams at a time")
    heartbeat: float = _setting(15.0, "pause after which a silent live stream gets a comment")
    slow_client: float = _setting(10.0, "time a live stream may refuse to take what it is sent before it is closed")
    tail: int = _setting(4096, "newest events kept in memory for live streams")
    poll: float = _setting(1.0, "how often the head is read when no doorbell rings")

    nats_replicas: int = _setting(1, "servers of a NATS cluster that keep each stream: 1, 3 or 5")
    tasks_lost_after: float = _setting(10.0, "time without a sign of life after which a worker counts as lost")
    hang_after: float = _setting(30.0, "time one decision may take before its host is ended and started again; 0: any")
    grow_limit: int = _setting(1 << 30, "memory one decision may take before its host is ended, likewise; 0: any")

    keepalive: float = _setting(75.0, "time an idle connection stays open")
    grace: float = _setting(5.0, "time for requests in hand to finish at shutdown")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the door."""
        return is_loopback(self.host)

    @property
    def tokenless(self) -> bool:
        """Whether requests without a token are served."""
        return self.loopback and not self.require_token


PREFIX: Final = "THESPIS_"


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names() -> dict[str, str]:
    """Every setting as it is named in the environment, with its meaning."""
    return {PREFIX + f.name.upper(): f.metadata["doc"] for f in dataclasses.fields(Settings)}


def from_environment(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from the environment, overruled by what is given (and not None).

    Variables with our prefix that are no setting of the door are left to others, unless they look like a misspelt one.
    Raises InvalidSetting naming the variable.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    fields = {PREFIX + f.name.upper(): f for f in dataclasses.fields(Settings)}
    for name, text in environment.items():
        if name in fields:
            default: Any = fields[name].default
            values[fields[name].name] = _parse(name, text, default.__class__)
        elif name.startswith(PREFIX) and (near := get_close_matches(name, fields, 1, 0.9)):
            raise InvalidSetting(f"{name} is not a setting", hint=f"did you mean {near[0]}?")
    values |= {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(Settings(), **values)


def _parse(name: str, text: str, kind: type[Any]) -> Any:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        if kind is bool:
            return words[text.strip().lower()]
        value = kind(text)
    except (ValueError, KeyError) as error:
        raise InvalidSetting(f"{name}={text!r} is not a {kind.__name__}", hint=f"it means: {names()[name]}") from error
    if kind in (int, float) and not 0 <= value < float("inf"):
        raise InvalidSetting(f"{name}={text!r} is not a size, time or rate", hint=f"it means: {names()[name]}")
    return value
