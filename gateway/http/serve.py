"""Running the door: the limits of HTTP itself, and an orderly end."""

from __future__ import annotations

import errno
from types import TracebackType

from aiohttp import web

from events.errors import Conflict, Invalid
from gateway.http.app import make_app
from gateway.http.door import Door
from gateway.settings import Settings


class Server:
    """Serves a door until it is stopped: then nothing new is accepted, live streams end at once, and requests in hand
    have `settings.grace` seconds to finish."""

    def __init__(self, door: Door, settings: Settings) -> None:
        self.door = door
        self._settings = settings
        self._runner = web.AppRunner(
            make_app(door, settings),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=settings.grace,
            keepalive_timeout=settings.keepalive,
            max_line_size=settings.max_header,
            max_field_size=settings.max_header,
            max_headers=settings.max_headers,
            auto_decompress=False,
            lingering_time=2.0,
        )
        self.port = 0

    @property
    def url(self) -> str:
        """Where to find it, once started."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises Conflict when the port is taken, Invalid when the address is not one of this machine."""
        settings = self._settings
        if not 0 <= settings.port < 65536:
            raise Invalid(f"{settings.port} is not a port", hint="ports are 0 to 65535; 0 takes a free one")
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{settings.host}:{settings.port}"
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"{where} is in use", hint="stop what listens there, or take another --port") from None
            raise Invalid(f"cannot listen on {where}: {error.strerror or error}", hint="check host and port") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop in order. May be called twice."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
