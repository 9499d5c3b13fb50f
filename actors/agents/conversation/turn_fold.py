"""What events make of the turn under way. Lists are replaced, as everywhere in the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.agents.conversation.state import (
    Conversation,
    Entry,
    Inbound,
    OpenCall,
    ToolCall,
    Turn,
)
from actors.tools.guards.model import outcome, redacted
from events.conversations import (
    AnswerRejected,
    BudgetAsked,
    ContextAssembled,
    Guarded,
    ModelAsked,
    ToolAnswered,
    ToolAsked,
    ToolWaits,
    TurnAdmitted,
    TurnReplied,
    TurnStuck,
    VariablesRead,
)

_replace = msgspec.structs.replace


def _admitted(turn: Turn, _state: Conversation, e: TurnAdmitted) -> None:
    turn.phase, turn.admitted, turn.progress, turn.stuck = "admitted", e.at, e.at, False


def _variables(turn: Turn, _state: Conversation, e: VariablesRead) -> None:
    turn.variables = {**turn.variables, e.scope: e.values}


def _assembled(turn: Turn, _state: Conversation, e: ContextAssembled) -> None:
    if e.step != turn.step:
        turn.attempt = turn.tried = 0
    turn.phase, turn.step = "assembled", e.step
    turn.shown, turn.label = e.variables, e.label


def _budget_asked(turn: Turn, _state: Conversation, e: BudgetAsked) -> None:
    turn.phase, turn.attempt = "budget", e.attempt
    turn.progress, turn.stuck = e.at, False


def _asked(turn: Turn, state: Conversation, e: ModelAsked) -> None:
    turn.phase, turn.step, turn.attempt = "model", e.step, e.attempt
    turn.progress, turn.stuck = e.at, False
    turn.model_calls += 1
    call = OpenCall(e.call, e.turn, e.step, e.attempt, e.estimate, e.budgets)
    state.calls = [*state.calls, call]


def _guarded(turn: Turn, _state: Conversation, e: Guarded) -> None:
    action = outcome(e.verdicts)
    if action == "hold":
        turn.phase = e.edge
    if e.edge == "inbound":
        number = int(e.subject.rpartition(":")[2])
        turn.messages = [_looked_at(m, e, action) if m.number == number else m for m in turn.messages]
        if turn.phase == "inbound" and not any(m.held for m in turn.messages):
            turn.phase = "admitted"
    elif e.edge == "output" and turn.answer is not None and action == "redact":
        text = redacted(turn.answer.text, e.verdicts)
        turn.answer = _replace(turn.answer, text=text)
        last = turn.entries[-1] if turn.entries else None
        if last is not None and last.kind == "answer" and last.step == turn.step:
            turn.entries = [*turn.entries[:-1], _replace(last, text=text)]


def _looked_at(message: Inbound, e: Guarded, action: str) -> Inbound:
    text = redacted(message.text, e.verdicts) if action == "redact" else message.text
    return _replace(message, text=text, blocked=action == "block", held=action == "hold")


def _tool_asked(turn: Turn, _state: Conversation, e: ToolAsked) -> None:
    turn.phase, turn.ordinal, turn.progress, turn.stuck = "tools", e.ordinal, e.at, False
    turn.tool_calls += 1
    turn.tools = [*turn.tools, ToolCall(e.ordinal, e.step, e.use, e.tool, e.call)]
    if e.tool not in turn.used:
        turn.used = [*turn.used, e.tool]


def _tool_waits(turn: Turn, _state: Conversation, e: ToolWaits) -> None:
    turn.tools = [_replace(t, approval=e.approval) if t.ordinal == e.ordinal else t for t in turn.tools]
    turn.waits_since = turn.waits_since or e.at
    turn.progress, turn.stuck = e.at, False


def _tool_answered(turn: Turn, _state: Conversation, e: ToolAnswered) -> None:
    tool = next((t for t in turn.tools if t.ordinal == e.ordinal), None)
    if tool is None:
        return
    turn.tools = [t for t in turn.tools if t.ordinal != e.ordinal]
    entry = Entry("result", tool.step, e.text, ordinal=e.ordinal, use=tool.use, name=tool.tool, label=e.label)
    # Results stand in the order in which they were asked for, whichever came first.
    place = next((i for i, x in enumerate(turn.entries) if x.kind == "result" and x.ordinal > e.ordinal), None)
    before = turn.entries if place is None else turn.entries[:place]
    turn.entries = [*before, entry, *([] if place is None else turn.entries[place:])]
    if e.citations:
        turn.citations = [*turn.citations, *e.citations]
    turn.progress, turn.stuck = e.at, False
    if turn.waits_since and not any(t.approval for t in turn.tools):
        turn.waited += e.at - turn.waits_since
        turn.waits_since = 0


def _rejected(turn: Turn, _state: Conversation, e: AnswerRejected) -> None:
    turn.rejected += 1
    answer = turn.answer
    entries = list(turn.entries)
    if answer is not None and answer.tool_uses:
        entries.pop()  # what it wanted is not done, so it never asked
    elif answer is not None and e.code == "schema":
        entries.append(Entry("answer", e.step, answer.text, label=turn.label))
    turn.entries = [*entries, Entry("rejection", e.step, e.reason)]
    turn.answer = None


def _replied(turn: Turn, _state: Conversation, e: TurnReplied) -> None:
    turn.phase, turn.reply, turn.reply_label = "replied", e.text, e.label


def _stuck(turn: Turn, _state: Conversation, _e: TurnStuck) -> None:
    turn.stuck = True


OF_TURN: Final[dict[type[Any], Callable[[Turn, Conversation, Any], None]]] = {
    TurnAdmitted: _admitted,
    VariablesRead: _variables,
    ContextAssembled: _assembled,
    BudgetAsked: _budget_asked,
    ModelAsked: _asked,
    Guarded: _guarded,
    ToolAsked: _tool_asked,
    ToolWaits: _tool_waits,
    ToolAnswered: _tool_answered,
    AnswerRejected: _rejected,
    TurnReplied: _replied,
    TurnStuck: _stuck,
}
"""By event, what is done to (turn, conversation)."""
