"""`thespis chat` as a real process: in a pipe, or on a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>]|\x1b\][^\x07]*\x07|\r")


def environment(url: str, **more: str) -> dict[str, str]:
    """What the process is told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THESPIS")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "THESPIS_URL": url,
        "TERM": "xterm",
        "COLUMNS": "100",
        "LINES": "40",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        **more,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.main", *arguments]


def once(url: str, *arguments: str, input: str | None = None, status: int = 0, **more: str) -> str:
    """Run it to its end; what it wrote on standard output (of a failure: on standard error)."""
    done = subprocess.run(
        command(*arguments), env=environment(url, **more), input=None if input is None else input.encode(),
        stdin=subprocess.DEVNULL if input is None else None, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == status, (done.stdout.decode(), done.stderr.decode())
    return (done.stdout if status in (0, 1) else done.stderr).decode()


class Typed:
    """A process whose output is read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], out: int, into: int) -> None:
        self.process = process
        self.raw = ""
        self._out = out
        self._into = into
        self._seen = 0

    @property
    def text(self) -> str:
        """What it wrote, without what only a terminal understands."""
        return _ESCAPES.sub("", self.raw)

    def type(self, text: str) -> None:
        os.write(self._into, text.encode())

    def until(self, *words: str) -> str:
        """Wait until it writes one of these after what was waited for before; the text up to there."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [place for word in words if (place := self.text.find(word, self._seen)) >= 0]
            if found:
                before, self._seen = self._seen, min(found) + 1
                return self.text[before : min(found)]
            assert time.monotonic() < end, f"{words} did not come:\n{self.text}"
            if not self._read():
                raise AssertionError(f"it ended before {words}:\n{self.text}")

    def end(self, status: int = 0) -> str:
        """Wait until it has ended; everything it wrote."""
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, f"it does not end:\n{self.text}"
        assert self.process.wait(PATIENCE) == status, self.text
        return self.text

    def press(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def type_until_gone(self, keys: str) -> None:
        """Type this again and again: what is typed between two prompts is lost."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self.type(keys)
            self._read()

    def press_until_gone(self) -> None:
        """Ctrl-C, again and again."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self.press()
            self._read()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._out], [], [], 1.0)
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._out, 65536)
        except OSError:  # the other side of the terminal is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def piped(url: str, *arguments: str) -> Generator[Typed]:
    """The process with pipes."""
    process = subprocess.Popen(
        command(*arguments), env=environment(url), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Typed(process, process.stdout.fileno(), process.stdin.fileno())
    finally:
        _gone(process)
        process.stdin.close()
        process.stdout.close()


@contextmanager
def on_terminal(url: str, *arguments: str) -> Generator[Typed]:
    """The process on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), env=environment(url), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Typed(process, ours, ours)
    finally:
        _gone(process)
        os.close(ours)


def _gone(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE)
