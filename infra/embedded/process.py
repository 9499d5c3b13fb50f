"""A server process that is ours: started with a clean environment, awaited, stopped, and gone when we are gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from events.errors import Unavailable

_LAUNCH = Path(__file__).with_name("launch.py")
_LOG_LIMIT = 16 * 1024 * 1024
_POLL = 0.01


class Process:
    """One run of a server.

    It is a plain child process, not one of asyncio's: it belongs to no event loop, so that whoever started it in one
    loop may stop it in another.
    """

    def __init__(self, child: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._child = child
        self._logged = log.stat().st_size

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """None while it runs, else the exit code, or minus the number of the signal that killed it."""
        return self._child.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it is gone already."""
        self._child.send_signal(number)

    async def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its status. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else monotonic() + timeout
        pause = _POLL
        while (status := self._child.poll()) is None:
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError(f"{self.name} (pid {self.pid}) is still running")
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, 0.1)
        return status

    async def stop(self, *steps: tuple[signal.Signals, float]) -> int:
        """Send each signal and wait that many seconds for the end; then kill. Returns its status."""
        for number, patience in steps:
            self.send(number)
            try:
                return await self.wait(patience)
            except TimeoutError:
                continue
        return await self.kill()

    async def kill(self) -> int:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        return await self.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of what this run wrote to its log, in one line."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._logged if size >= self._logged else 0, size - 8192))
            text = file.read().decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def start(
    command: Sequence[str | Path],
    *,
    name: str,
    log: Path,
    environment: Mapping[str, str],
    directory: Path,
    on_death: signal.Signals = signal.SIGTERM,
    identity: str = "self",
    own: Path | None = None,
) -> Process:
    """Start a server whose output goes to `log`, in its own session so that Ctrl-C reaches us alone.

    `on_death` is what it gets when the thread that calls this ends, so call it from a thread that stays: the main one.
    `identity` and `own` as in `infra.embedded.launch`. Raises Unavailable.
    """
    launch = [sys.executable, "-I", "-S", str(_LAUNCH), "--parent", str(os.getpid()), "--signal", str(int(on_death))]
    launch += ["--as", identity]
    launch += ["--own", str(own)] if own else []
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as out:
            child = subprocess.Popen(
                [*launch, "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            )
    except OSError as error:
        raise Unavailable(f"cannot start {name}: {error}") from error
    return Process(child, name, log)


def how_it_ended(status: int) -> str:
    """A status (see `Process.status`) in words."""
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
