"""What the terminal shows: an answer as it is written, visibly replaced when it turns out to be another one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

import click

from actors.channels.terminal import safe
from gateway.cli.output import printable

AGAIN: Final = "[the answer begins again]"
MARK: Final = "↻ "
HELP: Final = "/quit leaves, /help says this; Ctrl-C interrupts the answer, Ctrl-D leaves"


class Screen:
    """Writes to a terminal, or to a pipe as plain text. What is written of the answer under way can be replaced."""

    def __init__(self, out: TextIO | None = None, *, quiet: bool = False) -> None:
        self._out = out or sys.stdout
        self._quiet = quiet
        self.living = self._out.isatty()
        self._color = self.living and not os.environ.get("NO_COLOR")
        self._mark: tuple[int, int] | None = None
        self._text = ""
        """Of the step under way, as it counts."""
        self._block = ""
        """Everything that was written since the step began, as it stands on the screen."""
        self._void = False
        self._notes: list[str] = []
        """What of it is no answer."""

    def say(self, text: str, **style: Any) -> None:
        """A line of its own."""
        self.settle()
        self._write(self._styled(text, **style) + "\n")

    def note(self, text: str) -> None:
        """A line about what goes on, in brackets."""
        self._remark(f"[{printable(text)}]", dim=True)

    def warn(self, text: str) -> None:
        """A line about what went wrong."""
        self._remark(f"[{printable(text)}]", fg="yellow")

    def _remark(self, line: str, **style: Any) -> None:
        if self._mark is None:
            self.say(line, **style)
            return
        begin = "" if self._block.endswith("\n") or not self._block else "\n"
        styled = self._styled(line, **style)
        self._notes.append(styled)
        self._block += f"{begin}{line}\n"
        self._write(f"{begin}{styled}\n")

    def spoken(self, who: str, text: str) -> None:
        """What somebody said before."""
        self.settle()
        self._write(f"{self._styled(f'{printable(who)}:', bold=True)} {safe(text)}\n")

    # -- the answer under way

    def piece(self, mark: tuple[int, int], text: str, *, again: bool, gap: bool = False) -> None:
        """A piece of the answer of a step is being written; with `again` it is all there is of it."""
        if mark != self._mark:
            self.settle()
            self._mark = mark
        if (again or self._void) and self._text:
            self._replace(("… " if gap else "") + safe(text))
            return
        self._append(("… " if gap else "") + safe(text))

    def whole(self, mark: tuple[int, int], text: str) -> None:
        """The text of a step is known."""
        if mark != self._mark:
            self.settle()
            self._mark = mark
        text = safe(text)
        if text.startswith(self._text) and not (self._void and self._text):
            self._append(text[len(self._text) :])
        elif text:
            self._replace(text)

    def void(self) -> None:
        """What is shown of this step does not count: what comes next is another answer, even if it says the same."""
        self._void = True

    def settle(self) -> None:
        """What is shown stays; a new line begins."""
        if self._block and not self._block.endswith("\n"):
            self._write("\n")
        self._text, self._block, self._notes, self._mark, self._void = "", "", [], None, False

    def cited(self, citations: Sequence[Mapping[str, Any]]) -> None:
        """Where an answer comes from."""
        for number, found in enumerate(citations, 1):
            lines = found.get("lines")
            where = f":{lines[0]}-{lines[1]}" if lines else ""
            hash = f"  sha256 {found['hash'][:12]}" if found.get("hash") else ""
            self.say(f"  [{number}] {printable(found['path'])}{where}{hash}", dim=True)

    def _append(self, text: str) -> None:
        self._text += text
        self._block += text
        self._write(text)

    def _replace(self, text: str) -> None:
        """Take away what is shown of this step, or say that it does not count, and show the other text."""
        rows = self._rows()
        if self.living and rows < shutil.get_terminal_size().lines:
            notes = "".join(f"{note}\n" for note in self._notes)
            self._write(f"\r\x1b[{rows - 1}A\x1b[J{notes}" if rows > 1 else f"\r\x1b[J{notes}")
            self._write(self._styled(MARK, fg="yellow"))
            self._block = "".join(f"{click.unstyle(note)}\n" for note in self._notes) + MARK
        else:
            self._write(f"{'' if self._block.endswith(chr(10)) else chr(10)}{AGAIN}\n")
            self._block = ""
        self._text, self._void = "", False
        self._append(text)

    def _rows(self) -> int:
        """Rows that it takes."""
        from rich.cells import cell_len

        width = max(shutil.get_terminal_size().columns, 1)
        return sum(max(1, -(-cell_len(line) // width)) for line in self._block.split("\n"))

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._color else text

    def _write(self, text: str) -> None:
        if not self._quiet:
            self._out.write(text)
            self._out.flush()
