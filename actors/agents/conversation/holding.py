"""A text that was held goes on from where it was, or is stopped there."""

from __future__ import annotations

from actors.agents.conversation import admission
from actors.agents.conversation.answering import looked_at, send
from actors.agents.conversation.asking import ask_again
from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import fail_turn
from actors.agents.conversation.guarding import judged, why
from actors.core.outputs import Outcome


def came_back(d: Decision, ref: str, outcome: Outcome) -> None:
    """The verdict of `guard-check`."""
    place, edge, subject = ref.split(":", 2)
    turn = d.state.turn
    if turn is None or turn.phase != edge or place != f"{turn.number}.{turn.step}":
        return
    if edge == "inbound":
        admission.guard_said(d, subject, outcome)
    elif edge == "prompt":
        # What was looked at is not kept: the verdict that came is the last word.
        action, verdicts = judged(d, edge, subject, "", outcome)
        if action == "block":
            fail_turn(d, "blocked", why(verdicts))
        else:
            ask_again(d)
    elif turn.answer is not None:
        action, verdicts = judged(d, edge, subject, turn.answer.text, outcome)
        if edge == "output":
            looked_at(d, action, verdicts)
        else:
            send(d, action, verdicts)
