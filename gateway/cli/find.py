"""Which instance a command talks to: --url, else the one whose data directory has a run.json."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from events.errors import Invalid, NotFound, Unavailable

DEFAULT_DATA: Final = ".thespis"

START = "start one with `thespis up`, or name a running one with --url or THESPIS_URL, or its directory with --data"


class Place(msgspec.Struct, frozen=True):
    """Where an instance is. Empty strings: not known. `token` is only ever sent to the `url` it was found with."""

    url: str = ""
    token: str = ""
    database_url: str = ""
    nats_url: str = ""
    pid: int = 0
    workspaces: list[str] = []
    data: str = ""

    def __repr__(self) -> str:
        return f"Place({self.url!r})"


_decode = msgspec.json.Decoder(Place).decode


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `--url` and `--data`, passed on as they are."""
    return url_option(data_option("--data", "--data-dir")(function))


def data_option(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the data directory, under these names, passed as `data`."""
    return click.option(
        *names,
        "data",
        type=click.Path(file_okay=False),
        envvar="THESPIS_DATA",
        help="Data directory of the instance  [default: ./.thespis]",
    )


def url_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `--url`."""
    return click.option("--url", envvar="THESPIS_URL", help="Base URL of the instance, e.g. http://127.0.0.1:8321")(
        function
    )


def running(data: str | None) -> Place:
    """What the run.json of a data directory says. Raises Unavailable when nothing runs there."""
    directory = Path(data or DEFAULT_DATA)
    path = directory / "run.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"no instance runs in {directory}", hint=START) from None
    except PermissionError:
        raise Unavailable(f"{path} may not be read", hint="run this as the user who started the instance") from None
    try:
        place = _decode(content)
    except msgspec.MsgspecError as error:
        raise Invalid(f"{path} is damaged: {error}", hint="stop the instance and start it again") from None
    if place.pid and not _alive(place.pid):
        raise Unavailable(
            f"the instance in {directory} does not run any more (process {place.pid} is gone)", hint=START
        )
    return msgspec.structs.replace(place, data=str(directory))


def instance(url: str | None, data: str | None) -> Place:
    """The instance to talk HTTP to, with the token to use. Raises Invalid, Unavailable."""
    token = os.environ.get("THESPIS_TOKEN", "")
    if not url:
        place = running(data)
        return msgspec.structs.replace(place, token=token or place.token)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url!r} is not the URL of an instance", hint="it looks like http://127.0.0.1:8321")
    return Place(url.rstrip("/"), token)


def database(data: str | None) -> Place:
    """The database to talk to directly: DATABASE_URL, else that of the instance. Raises NotFound, Unavailable."""
    url = os.environ.get("DATABASE_URL", "")
    if url:
        return Place(database_url=url, nats_url=os.environ.get("NATS_URL", ""))
    place = running(data)
    if not place.database_url:
        raise NotFound(f"{place.data}/run.json names no database", hint="set DATABASE_URL")
    return place


def workspace_of(data: str | None) -> list[str]:
    """The workspaces of the running instance, if there is one and it has any."""
    try:
        place = running(data)
    except (Invalid, Unavailable):
        return []
    return place.workspaces


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
