"""What goes in and out about projections and other readers of the log, as pydantic models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In, Query, Reason
from gateway.http.params import Limit, Position, Time


class RowsQuery(Query):
    """Which rows."""

    table: str | None = Field(None, description="may be left out when there is one table")
    where: list[str] = Field([], description="column, operator, value, e.g. `balance>=100`; may be repeated")
    sort: str | None = Field(None, description="columns separated by commas, `-` before a falling one")
    limit: Limit | None = Field(None, description="rows of a page")
    after: str | None = Field(None, description="the `next` of the page before")
    offset: Position = Field(0, description="rows to skip")
    build: Position | None = Field(None, description="another build than the live one; see its `builds`")
    wait: Position | None = Field(None, description="wait until the projection has reached this position")


class RowsOut(BaseModel):
    """A page of rows, all of one moment of one build."""

    projection: str
    rows: list[dict[str, Any]] = Field(
        description="columns by name; times in those of the built-in projections (`…_at`, `time`, `minute`, `since`,"
        " `until`, `began`) are microseconds since 1970 (UTC), durations are microseconds"
    )
    next: str | None = Field(description="pass as `after`; null at the end. The next page is of the same build")
    position: int = Field(description="how far into the log this page sees")
    lag: int = Field(description="events of the log that it does not see, as far as this host knows")
    version: int = Field(description="of the projection's code")
    build: int = Field(description="the number of the set of tables it is from")
    stale_since: Time | None = Field(
        description="of rows that no code here keeps up to date: when the first event they lack was recorded"
    )


class ProjectionOut(BaseModel):
    """A projection, and how far it is."""

    name: str
    version: int = Field(description="of the projection's code")
    build: int = Field(description="the number of the live set of tables")
    position: int
    head: int
    lag: int = Field(description="events of the log not folded in yet")
    parked: int = Field(description="keys that wait for a person")
    building: int | None = Field(description="the number of a build under way beside the live one")
    progress: int | None = Field(description="how far that is")
    stale_since: Time | None = Field(
        description="when the first event that the rows lack was recorded, if that is a while"
        " ago: nobody folds them, or not quickly enough"
    )
    running: bool = Field(description="whether it runs on this host")
    rate: float = Field(description="events a second lately, if it runs here")
    error: str = Field(description="what keeps it from going on")
    tables: dict[str, list[str]] = Field(description="columns by table")


class ProjectionsOut(BaseModel):
    """Every projection."""

    projections: list[ProjectionOut]


class RebuildOut(BaseModel):
    """The build that has begun, or was already under way."""

    name: str
    build: int
    version: int
    state: Literal["live", "building"]
    position: int


class ParkedKeyOut(BaseModel):
    """A key of a projection whose events wait, because the one at `position` could not be folded."""

    key: str
    position: int
    error: str
    held: int = Field(description="events that wait")
    since: Time


class ParkedKeysOut(BaseModel):
    """What of a projection waits for a person."""

    parked: list[ParkedKeyOut]


class ParkedKeyIn(In):
    """What is to be done about a parked key, and why."""

    key: str = Field(min_length=1, max_length=2000)
    action: Literal["retry", "discard"] = Field(description="fold what waits again, or let it go unfolded")
    reason: Reason


class FreedOut(BaseModel):
    """What came of it: events folded or let go, and the key as it is now, or null when it is free."""

    events: int
    parked: ParkedKeyOut | None


State = Literal["live", "building", "standby"]


class BuildOut(BaseModel):
    """A set of tables of a projection."""

    build: int
    version: int = Field(description="of the code that folds it")
    state: State = Field(
        description="`live` is what readers see, `standby` is kept up to date so that it can be switched to"
    )
    position: int
    parked: int = Field(description="keys that wait for a person")
    indexed: bool = Field(description="whether its secondary indexes are made")
    created: Time
    kept_until: Time | None = Field(description="of a standby: when it is dropped")
    note: str = Field(description="of a standby: why it did not become live, if that was refused")


class ComparisonOut(BaseModel):
    """What two builds were found to hold at one position, in rows sampled by their keys."""

    compared: int
    differing: int = Field(description="in both, but not equal")
    missing: int = Field(description="in the old one alone")
    added: int = Field(description="in the new one alone")
    examples: list[str]
    parks: list[str] = Field(description="keys parked by the new one alone, about which nobody decided anything")


class SwitchOut(BaseModel):
    """Readers were switched from one build to another."""

    name: str
    from_build: int
    from_version: int
    to_build: int
    to_version: int
    position: int = Field(description="where both stood")
    comparison: ComparisonOut
    by: str
    reason: str
    at: Time
    recorded: int | None = Field(description="the event's position in the log; null until it is there")


class BuildsOut(BaseModel):
    """Every build of a projection, and the last switches between them, newest first."""

    builds: list[BuildOut]
    switches: list[SwitchOut]


class SwitchIn(In):
    """Which build readers shall see, and why."""

    to: int = Field(ge=1)
    reason: Reason


class DropIn(In):
    """Which build is no longer needed."""

    build: int = Field(ge=1)


class DroppedOut(BaseModel):
    """The build is gone."""

    name: str
    build: int


class ConsumerOut(BaseModel):
    """Somebody who reads the log or the bus in order."""

    name: str
    kind: Literal["projection", "relay", "router", "spool"]
    position: int | None = Field(description="how far it is: a position of the log, or a sequence number of the spool")
    lag: int | None = Field(description="what it has not handled yet; null when that cannot be told now")
    here: bool = Field(description="whether it runs on this host")
    detail: str = Field("", description="what keeps it from going on, or more about it")


class ConsumersOut(BaseModel):
    """Everybody who reads the log or the bus in order, and how far behind they are."""

    consumers: list[ConsumerOut]
    head: int = Field(description="last position of the log")
