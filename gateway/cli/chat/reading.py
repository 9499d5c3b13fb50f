"""Lines from whoever types: with editing and history on a terminal, else as they come on standard input."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Protocol


class Interrupted(Exception):
    """Ctrl-C, at a prompt."""


class Reader(Protocol):
    """Where lines come from."""

    interactive: bool

    async def line(self, prompt: str) -> str | None:
        """The next line, without its end; None when there are no more. Raises Interrupted."""
        ...


class Terminal:
    """prompt_toolkit: editing, and the history of what was said."""

    interactive = True

    def __init__(self, said: Sequence[str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory

        self._session: Any = PromptSession(history=InMemoryHistory(list(said)))
        self._question: Any = PromptSession()

    async def line(self, prompt: str) -> str | None:
        """The next line. A prompt that is a question is not part of the history."""
        session = self._session if prompt == "> " else self._question
        try:
            return await session.prompt_async(prompt)
        except EOFError:
            return None
        except KeyboardInterrupt:
            raise Interrupted from None


class Pipe:
    """Standard input as it comes."""

    interactive = False

    def __init__(self) -> None:
        self._stream: asyncio.StreamReader | None = None
        self._plain = False

    async def line(self, prompt: str) -> str | None:
        """The next line; the prompt is not shown."""
        if self._stream is None and not self._plain:
            await self._open()
        raw = await self._stream.readline() if self._stream is not None else sys.stdin.buffer.readline()
        return raw.decode("utf-8", "replace").rstrip("\r\n") if raw else None

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=16 << 20)
        try:
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
        except (ValueError, OSError):  # a file: it never keeps anybody waiting
            self._plain = True
            return
        self._stream = stream


class Given:
    """Nobody types."""

    interactive = False

    async def line(self, prompt: str) -> str | None:
        """Nothing."""
        return None


def reader(said: Sequence[str]) -> Reader:
    """Where lines come from here."""
    return Terminal(said) if sys.stdin.isatty() and sys.stdout.isatty() else Pipe()
