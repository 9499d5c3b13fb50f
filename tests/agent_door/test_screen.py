"""What the terminal shows of an answer, and how it takes it back."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gateway.cli.chat.screen import AGAIN, MARK, Screen


class Paper(io.StringIO):
    """What was written, on something that is a terminal or not."""

    def __init__(self, living: bool) -> None:
        super().__init__()
        self._living = living

    def isatty(self) -> bool:
        return self._living


class Glass:
    """A terminal of 20 columns, as far as this screen uses one."""

    def __init__(self, written: str) -> None:
        self.rows: list[str] = [""]
        self.row = self.column = 0
        for part in _parts(written):
            self._take(part)

    def _take(self, part: str) -> None:
        if part == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif part == "\r":
            self.column = 0
        elif part.startswith("\x1b[") and part.endswith("A"):
            self.row -= int(part[2:-1])
        elif part == "\x1b[J":
            self.rows = [*self.rows[: self.row], self.rows[self.row][: self.column]]
        elif not part.startswith("\x1b"):
            if self.column == 20:
                self._take("\n")
            self.rows[self.row] = self.rows[self.row][: self.column] + part
            self.column += 1


def _parts(written: str) -> list[str]:
    found: list[str] = []
    while written:
        size = 1
        if written.startswith("\x1b["):
            size = next(n for n, letter in enumerate(written) if letter.isalpha()) + 1
        found.append(written[:size])
        written = written[size:]
    return found


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "10")


def screen(living: bool = True) -> tuple[Screen, Paper]:
    paper = Paper(living)
    return Screen(paper), paper


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "first", ["short", "exactly twenty chars", "longer than the line is wide", "two\nlines and a bit more", ""]
)
def test_another_answer_takes_the_place_of_what_is_shown(first: str) -> None:
    view, paper = screen()
    view.say("before")
    view.piece((1, 1), first, again=False)
    view.piece((1, 1), "another answer", again=True)
    view.whole((1, 1), "another answer, whole")
    view.settle()
    shown = "another answer, whole"
    begun = f"{MARK}{shown}" if first else shown
    rows = [begun[:20], begun[20:]]
    assert [row for row in Glass(paper.getvalue()).rows if row] == ["before", *filter(None, rows)]


@pytest.mark.usefixtures("narrow")
def test_notes_stay_when_the_answer_is_replaced() -> None:
    view, paper = screen()
    view.piece((1, 1), "half an answer that is long", again=False)
    view.note("host away")
    view.note("it is back")
    view.piece((1, 1), "all of it", again=True)
    view.whole((1, 1), "all of it")
    view.settle()
    assert [row for row in Glass(paper.getvalue()).rows if row] == ["[host away]", "[it is back]", f"{MARK}all of it"]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("living", [True, False])
def test_the_answer_of_a_call_made_again_takes_the_place_of_what_is_shown_though_it_says_the_same(living: bool) -> None:
    view, paper = screen(living)
    view.piece((1, 1), "half an", again=False)
    view.note("lost")
    view.void()
    for _ in range(2):
        view.whole((1, 1), "half an answer")
    view.settle()
    if living:
        assert [row for row in Glass(paper.getvalue()).rows if row] == ["[lost]", f"{MARK}half an answer"]
    else:
        assert paper.getvalue() == f"half an\n[lost]\n{AGAIN}\nhalf an answer\n"


@pytest.mark.usefixtures("narrow")
def test_what_has_left_the_screen_is_not_taken_back_but_said_to_be_void() -> None:
    for living, text in ((True, "x" * 300), (False, "short")):
        view, paper = screen(living)
        view.piece((1, 1), text, again=False)
        view.piece((1, 1), "other", again=True)
        view.settle()
        assert paper.getvalue() == f"{text}\n{AGAIN}\nother\n"


def test_the_same_text_is_not_written_twice() -> None:
    view, paper = screen(living=False)
    view.piece((1, 1), "one two", again=False)
    view.whole((1, 1), "one two three")
    view.whole((1, 1), "one two three")
    view.piece((1, 2), "next step", again=True)
    view.settle()
    assert paper.getvalue() == "one two three\nnext step\n"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\u202egnirts", "\x08\x08"])
def test_nothing_that_a_terminal_would_obey_gets_there(evil: str) -> None:
    view, paper = screen(living=False)
    view.piece((1, 1), evil, again=False)
    view.whole((1, 1), evil)
    view.note(evil)
    view.spoken(evil, evil)
    view.cited([{"path": evil}])
    view.settle()
    assert not set("\x1b\x07\x9b\r\u202e\x08") & set(paper.getvalue())


def test_citations_are_places() -> None:
    view, paper = screen(living=False)
    cited: list[dict[str, Any]] = [{"path": "notes.md", "lines": [3, 5], "hash": "ab" * 32}, {"path": "plain.txt"}]
    view.cited(cited)
    assert paper.getvalue() == "  [1] notes.md:3-5  sha256 abababababab\n  [2] plain.txt\n"
