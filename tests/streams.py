"""Server-sent events, read as they come."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec


class ServerSent:
    """The events of a response, one after another. `comments` are those that came between."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.comments: list[str] = []

    async def next(self) -> tuple[str, str, Any]:
        """(id, name, data) of the next one; names are "" at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            async for raw in self._response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
                elif "data" in fields:
                    return fields.get("id", ""), fields["event"], msgspec.json.decode(fields["data"])
        return "", "", None
