"""What the application carries for its handlers, beside the door and the settings."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from gateway.http.guard import Guard
from gateway.http.showing import Shows
from gateway.http.tail import Tail

GUARD: Final = web.AppKey("guard", Guard)
TAIL: Final = web.AppKey("tail", Tail)
SHOWS: Final = web.AppKey("shows", Shows)
CLOSING: Final = web.AppKey("closing", asyncio.Event)
