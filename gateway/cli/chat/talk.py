"""A talk: lines go out, answers come in, people agree or not, Ctrl-C interrupts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Final

from actors.channels.port import Deliver
from actors.channels.rendering import wanted
from events.errors import ThespisError, Unavailable
from events.ids import random_id
from gateway.cli.chat.answering import Answering
from gateway.cli.chat.approving import decide
from gateway.cli.chat.link import Link
from gateway.cli.chat.reading import Interrupted, Reader
from gateway.cli.chat.screen import HELP, Screen
from gateway.problems import Full

PROMPT: Final = "> "

_ENDED: Final = frozenset(("replied", "failed", "interrupted", "cancelled"))


class Left(Exception):
    """Whoever talked has gone."""


class Talk:
    """One conversation at one terminal. `known` is the number of the last message that was there before.

    `reply` and `ended` are the `TurnReplied` and `TurnEnded` of the last turn that was shown.
    """

    def __init__(self, link: Link, screen: Screen, reader: Reader, known: int = 0) -> None:
        self._link = link
        self._screen = screen
        self._reader = reader
        self._known = known
        self._presses = 0
        self._answering: Answering | None = None
        self._work: asyncio.Task[Any] | None = None
        self._sides: set[asyncio.Task[None]] = set()
        self.reply: dict[str, Any] = {}
        self.ended: dict[str, Any] = {}

    async def run(self, turn: int = 0, asks: Sequence[Deliver] = ()) -> None:
        """Talk until there are no more lines. With `turn`, that turn's answer comes first; `asks` is what it waits for.

        Raises Unavailable when the host stays away.
        """
        with contextlib.suppress(Left):
            if turn:
                answering = Answering(self._screen, 0, turn)
                answering.asks = list(asks)
                await self._interruptible(self._answer(answering))
            while (line := await self._line()) not in ("/quit", "/exit"):
                if line == "/help":
                    self._screen.note(HELP)
                elif line:
                    await self.say(line, random_id())

    async def say(self, text: str, key: str) -> None:
        """Say it, once, and show the answer. Raises Left, Unavailable."""
        await self._interruptible(self._say(text, key))

    async def _say(self, text: str, key: str) -> None:
        try:
            taken = await self._link.say(text, key)
        except Full as error:
            self._screen.warn(f"{error.message}: say it again later")
            return
        except Unavailable:
            raise
        except ThespisError as error:
            self._screen.warn(error.message)
            self.ended = {"status": "refused", "reason": error.message, "code": error.code}
            return
        if taken["number"] <= self._known and taken["status"] in _ENDED:
            self._answered_before(taken)
            return
        if taken["status"] == "waiting":
            self._screen.note("it waits for its turn")
        await self._answer(Answering(self._screen, taken["number"], taken["turn"]))

    def _answered_before(self, taken: dict[str, Any]) -> None:
        self.reply, self.ended = (taken if taken["status"] == "replied" else {}), taken
        if self.reply:
            self._screen.whole((taken["turn"], 0), taken["text"])
            self._screen.settle()
            self._screen.cited(taken["citations"])
        else:
            self._screen.warn(f"{taken['status']}: {taken['reason'] or taken['code']}")

    async def _answer(self, answering: Answering) -> None:
        """Show frames until the turn has ended."""
        self._answering = answering
        while not answering.over:
            while answering.asks:
                await self._agree(answering.asks.pop(0))
            answering.show(await self._link.next())
            self.reply, self.ended = answering.reply, answering.ended

    async def _agree(self, asks: Deliver) -> None:
        self._screen.settle()
        try:
            decided = await decide(self._link.api, self._screen, self._reader, asks)
        except Interrupted:
            self._pressed()
            return
        if decided is None and not self._reader.interactive:
            self.ended = {"status": "waiting", "approval": wanted(asks)["approval"].removeprefix("approval/")}
            raise Left

    async def _line(self) -> str:
        """The next line. Raises Left at the end, and at the second Ctrl-C."""
        self._presses = 0
        while True:
            try:
                line = await self._reader.line(PROMPT)
            except Interrupted:
                self._presses += 1
                if self._presses > 1:
                    raise Left from None
                self._screen.note("Ctrl-C again leaves")
                continue
            if line is None:
                raise Left
            return line.strip()

    # -- Ctrl-C

    async def _interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it; the first Ctrl-C interrupts the turn, the second leaves. Raises Left."""
        self._presses = 0
        self._work = asyncio.ensure_future(work)
        with _on_interrupt(self._pressed):
            try:
                await self._work
            except asyncio.CancelledError:
                if self._presses < 2:
                    raise
                raise Left from None

    def _pressed(self) -> None:
        self._presses += 1
        if self._presses > 1 and self._work is not None:
            self._work.cancel()
            return
        self._screen.note("interrupting; Ctrl-C again leaves")
        task = asyncio.get_running_loop().create_task(self._interrupt())
        self._sides.add(task)
        task.add_done_callback(self._sides.discard)

    async def _interrupt(self) -> None:
        turn = self._answering.turn if self._answering is not None else 0
        try:
            await self._link.post(("interrupt",), {"turn": turn}, random_id())
        except ThespisError as error:
            self._screen.warn(error.message)


@contextlib.contextmanager
def _on_interrupt(pressed: Callable[[], None]) -> Generator[None]:
    """Have Ctrl-C call `pressed`; afterwards it is what it was."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
