"""Prometheus metrics of the door, and of whatever the process adds to them.

Every metric the door emits:

| metric | type | labels | meaning |
|---|---|---|---|
| thespis_http_requests_total | counter | route, method, status | requests answered |
| thespis_http_request_seconds | histogram | route | time from the request's headers to the end of the handler |
| thespis_http_requests_in_hand | gauge | | requests being handled now, live streams not counted |
| thespis_http_streams | gauge | | live streams open now |
| thespis_http_streamed_events_total | counter | | events sent on live streams |
| thespis_http_slow_streams_total | counter | | live streams closed because the client did not take what was sent |
| thespis_http_published_events_total | counter | | events acknowledged on POST /v1/events |
| thespis_http_denied_total | counter | status | requests turned away: 401, 403 and 429 |
| thespis_log_head | gauge | | last position of the log known to this process |
| thespis_projection_lag | gauge | projection | events of the log the live build has not folded in yet |
| thespis_projection_parked | gauge | projection | keys of the live build that wait for a person |
| thespis_consumer_lag | gauge | consumer | what a reader of the log or the bus has not handled yet |
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram's buckets, in seconds."""

METRICS: Final[dict[str, tuple[str, tuple[str, ...], str]]] = {
    "thespis_http_requests_total": ("counter", ("route", "method", "status"), "requests answered"),
    "thespis_http_request_seconds": ("histogram", ("route",), "time from the request's headers to the handler's end"),
    "thespis_http_requests_in_hand": ("gauge", (), "requests being handled now, live streams not counted"),
    "thespis_http_streams": ("gauge", (), "live streams open now"),
    "thespis_http_streamed_events_total": ("counter", (), "events sent on live streams"),
    "thespis_http_slow_streams_total": ("counter", (), "live streams closed because the client did not keep up"),
    "thespis_http_published_events_total": ("counter", (), "events acknowledged on POST /v1/events"),
    "thespis_http_denied_total": ("counter", ("status",), "requests turned away: 401, 403 and 429"),
    "thespis_log_head": ("gauge", (), "last position of the log known to this process"),
    "thespis_projection_lag": ("gauge", ("projection",), "events the live build has not folded in yet"),
    "thespis_projection_parked": ("gauge", ("projection",), "keys of the live build that wait for a person"),
    "thespis_consumer_lag": ("gauge", ("consumer",), "what a reader of the log or the bus has not handled yet"),
}
"""Name → type, labels, help. Nothing else can be counted."""


class Sample(msgspec.Struct, frozen=True):
    """A figure of another part of the process at this moment: `kind` is counter or gauge."""

    name: str
    kind: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Metrics:
    """The figures of one door. Not thread-safe: it lives on the event loop."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {
            name: {} if labels else {(): 0.0} for name, (kind, labels, _) in METRICS.items() if kind != "histogram"
        }
        self._seconds: dict[str, list[float]] = {}

    def add(self, name: str, amount: float = 1.0, labels: tuple[str, ...] = ()) -> None:
        """Count up (or a gauge up or down)."""
        values = self._values[name]
        values[labels] = values.get(labels, 0.0) + amount

    def set(self, name: str, value: float, labels: tuple[str, ...] = ()) -> None:
        """Set a gauge."""
        self._values[name][labels] = value

    def get(self, name: str, labels: tuple[str, ...] = ()) -> float:
        """The figure now."""
        return self._values[name].get(labels, 0.0)

    def observe(self, route: str, seconds: float) -> None:
        """Add one request to the histogram of its route."""
        row = self._seconds.setdefault(route, [0.0] * (len(BUCKETS) + 2))
        row[bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds

    def text(self, samples: Iterable[Sample] = ()) -> str:
        """The exposition format, the samples of others after our own."""
        lines: list[str] = []
        for name, (kind, labels, help) in METRICS.items():
            lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
            if kind == "histogram":
                for route, row in self._seconds.items():
                    lines += _histogram(name, route, row)
            else:
                for values, figure in self._values[name].items():
                    lines.append(f"{name}{_labels(zip(labels, values, strict=True))} {_number(figure)}")
        seen: set[str] = set()
        for sample in sorted(samples, key=lambda sample: sample.name):
            if sample.name not in seen:
                seen.add(sample.name)
                lines += [f"# HELP {sample.name} {_escape(sample.help)}", f"# TYPE {sample.name} {sample.kind}"]
            lines.append(f"{sample.name}{_labels(sample.labels)} {_number(sample.value)}")
        return "\n".join(lines) + "\n"


def _histogram(name: str, route: str, row: list[float]) -> list[str]:
    lines: list[str] = []
    total = 0.0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), row[:-1], strict=True):
        total += count
        lines.append(f"{name}_bucket{_labels((('route', route), ('le', bound)))} {_number(total)}")
    label = _labels((("route", route),))
    return [*lines, f"{name}_sum{label} {row[-1]!r}", f"{name}_count{label} {_number(total)}"]


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_escape(value)}"' for name, value in pairs)
    return f"{{{inside}}}" if inside else ""


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
