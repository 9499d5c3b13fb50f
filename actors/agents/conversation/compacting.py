"""Old turns are summarised before the first step of a turn, when they are too long to be shown."""

from __future__ import annotations

from actors.agents.conversation.asking import ask_again, make_step
from actors.agents.conversation.decision import Decision
from actors.agents.prompt.compaction import extract, old_turns, summary_budget
from actors.agents.prompt.tokens import count_tokens, cut
from events.conversations import HistoryCompacted


def compact_and_step(d: Decision) -> None:
    """Summarise what is too old, then take the first step."""
    if old_turns(d.state) is None:
        make_step(d)
    elif d.definition.summary == "model":
        ask_again(d)
    else:
        without_model(d)


def without_model(d: Decision) -> None:
    """Summarise by extract."""
    old = old_turns(d.state)
    if old is not None:
        _compacted(d, extract(old, summary_budget(d.state)), "extract")
    make_step(d)


def summarised(d: Decision, text: str, model: str) -> None:
    """A model made the summary."""
    if not text.strip():
        without_model(d)
        return
    _compacted(d, text, model)
    make_step(d)


def _compacted(d: Decision, summary: str, by: str) -> None:
    old = old_turns(d.state)
    assert old is not None
    text, _ = cut(summary, summary_budget(d.state), "in the log")
    d.emit(HistoryCompacted(old.first, old.last, text, by, d.now, old.tokens, count_tokens(text), old.label))
